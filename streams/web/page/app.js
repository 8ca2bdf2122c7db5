// Asks the server once a second for what runs, has the top tags streamed, and draws both; where it cannot, it says so
// and keeps the last answer.

import { byId, clock, element, keyed, number, say, sayMarked, span } from "./dom.js";
import { drawOverview } from "./overview.js";
import { RANKS, WINDOWS, drawSwitches, drawTags, isOffered } from "./trends.js";

const EVERY = 1000;
const PATIENCE = 8000;
const STALE_AFTER = 10;
const known = { overview: null, trends: null };
const AGAIN = 5000;
const wished = new URLSearchParams(location.search);
const chosen = {
  rank: wished.get("rank") in RANKS ? wished.get("rank") : "count",
  window: wished.get("window") in WINDOWS ? wished.get("window") : "1h",
};
let stream = null;
let streamed = true;
let turns = 0;
let next = null;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return { answer, now: Date.parse(response.headers.get("Date")) };
}

/** One round of what runs. */
async function round() {
  const [overview] = await Promise.allSettled([ask("/api/v1/overview")]);
  if (overview.status === "fulfilled") {
    known.overview = overview.value;
    drawOverview(overview.value.answer);
  }
  drawState(overview);
}

/** Have the chosen list streamed. The browser connects again by itself, unless the server has refused. */
function listen() {
  stream?.close();
  if (document.hidden) return;
  const mine = new EventSource(`/api/v1/trends/stream?${new URLSearchParams({ ...chosen, limit: 10 })}`);
  stream = mine;
  mine.addEventListener("tags", (event) => {
    streamed = true;
    known.trends = JSON.parse(event.data);
    drawTags(known.trends);
  });
  mine.addEventListener("error", () => {
    if (mine !== stream) return;
    streamed = false;
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => mine === stream && listen(), AGAIN);
  });
}

function drawState(overview) {
  const gone = overview.status === "rejected" && !streamed;
  const problems = gone ? {} : { ...known.overview?.answer.problems };
  if (gone) problems.server = failure(overview.reason);
  else if (overview.status === "rejected") problems.overview = failure(overview.reason);
  else if (!streamed) problems["top tags"] = "the server does not stream them; they are asked for again in a moment";
  const stale = gone ? null : staleness();
  if (stale) problems["top tags"] = `stale: counted up to ${stale} ago; look whether the worker and its database run`;
  if (!gone && known.trends?.as_of && !known.trends.complete && !problems["top tags"]) {
    problems["top tags"] = "incomplete: some events of this window are not counted yet, or are gone from the log";
  }
  const entries = Object.entries(problems);
  showState(gone ? "bad" : entries.length ? "warning" : "well", gone ? "Not reachable" : entries.length ? "Needs a look" : "Live");
  byId("problems").hidden = entries.length === 0;
  const make = ([name]) => element("li", "", element("b", "", name), element("span"));
  keyed(byId("problems-list"), entries, ([name]) => name, make, (node, [, text]) => sayMarked(node.lastChild, text));
  byId("problems").dataset.level = gone ? "bad" : "warning";
  document.body.classList.toggle("old", overview.status === "rejected");
}

function failure(reason) {
  const shown = known.overview ? ` What is shown is how it was at ${clock(known.overview.answer.as_of)}.` : "";
  const network = reason instanceof TypeError || reason.name === "TimeoutError";
  const text = network ? `${location.host} does not answer. Is \`tailrace serve\` running? It is asked again every second.` : reason.message;
  return `${text}${shown}`;
}

/** How far the counts are behind the server's own clock, where that is too far. */
function staleness() {
  if (!known.trends?.as_of || !known.overview) return null;
  const behind = (known.overview.now - Date.parse(known.trends.as_of)) / 1000;
  return behind > STALE_AFTER ? span(behind) : null;
}

function showState(level, text) {
  const state = byId("state");
  if (state.dataset.level !== level) say(byId("announce"), text);
  state.dataset.level = level;
  say(byId("state-text"), text);
  if (!known.overview) return;
  const time = byId("as-of");
  time.dateTime = known.overview.answer.as_of;
  say(time, `as of ${clock(known.overview.answer.as_of)}`);
  const done = known.overview.answer.tasks.reduce((total, task) => total + (task.states.done ?? 0), 0);
  document.title = `${number(done)} done · Tailrace`;
}

/** Ask for ever, one round at a time; a hidden tab asks nothing. */
function turn() {
  clearTimeout(next);
  const mine = ++turns;
  if (document.hidden) return;
  const started = performance.now();
  round().finally(() => {
    if (mine === turns) next = setTimeout(turn, Math.max(100, EVERY - (performance.now() - started)));
  });
}

function choose(change) {
  Object.assign(chosen, change);
  if (!isOffered(chosen)) chosen.window = "1h";
  history.replaceState(null, "", `?${new URLSearchParams(chosen)}`);
  drawSwitches(chosen, choose);
  listen();
}

function wake() {
  turn();
  listen();
}

document.addEventListener("visibilitychange", wake);
choose({});
turn();
