// Asks the server once a second and draws what it says; where it cannot ask, it says so and keeps the last answer.

import { byId, clock, element, keyed, number, say, sayMarked, span } from "./dom.js";
import { drawOverview } from "./overview.js";
import { WINDOWS, drawTags, drawWindows } from "./trends.js";

const EVERY = 1000;
const PATIENCE = 8000;
const STALE_AFTER = 10;
const known = { overview: null, trends: null };
const wished = new URLSearchParams(location.search).get("window");
let chosen = wished in WINDOWS ? wished : "1h";
let turns = 0;
let next = null;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return { answer, now: Date.parse(response.headers.get("Date")) };
}

/** One round: both questions at once; each failure is told beside what the other one answered. */
async function round() {
  const asked = chosen;
  const [overview, trends] = await Promise.allSettled([
    ask("/api/v1/overview"),
    ask(`/api/v1/trends/tags?window=${encodeURIComponent(asked)}&limit=10&rank=count`),
  ]);
  if (overview.status === "fulfilled") {
    known.overview = overview.value;
    drawOverview(overview.value.answer);
  }
  if (trends.status === "fulfilled" && asked === chosen) {
    known.trends = trends.value;
    drawTags(trends.value.answer);
  }
  drawState(overview, trends);
}

function drawState(overview, trends) {
  const gone = overview.status === "rejected" && trends.status === "rejected";
  const problems = gone ? {} : { ...known.overview?.answer.problems };
  if (gone) problems.server = failure(overview.reason);
  else if (overview.status === "rejected") problems.overview = failure(overview.reason);
  else if (trends.status === "rejected") problems["top tags"] = failure(trends.reason);
  const stale = gone ? null : staleness();
  if (stale) problems["top tags"] = `stale: counted up to ${stale} ago; look whether the worker and its database run`;
  if (!gone && known.trends?.answer.as_of && !known.trends.answer.complete && !problems["top tags"]) {
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
  if (!known.trends?.answer.as_of) return null;
  const behind = (known.trends.now - Date.parse(known.trends.answer.as_of)) / 1000;
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

function choose(value) {
  chosen = value;
  history.replaceState(null, "", `?window=${encodeURIComponent(value)}`);
  turn();
}

drawWindows(chosen, choose);
document.addEventListener("visibilitychange", turn);
turn();
