// Everything that /api/v1/overview says.

import { ago, breakable, byId, element, keyed, number, say, sayMarked, span, took } from "./dom.js";

const STATES = { done: "done", skipped: "skipped", running: "running", queued: "queued", parked: "retry", dead: "dead", cancelled: "cancelled" };
const MAIL_STATES = { sent: "sent", sending: "sending", intent: "to send", uncertain: "uncertain", refused: "refused" };
const HISTORY = 60;
const finished = [];

export function drawOverview(overview) {
  const now = Date.parse(overview.as_of);
  drawTiles(overview, now);
  drawTasks(overview.tasks);
  drawWorkers(overview.workers, now);
  sayMarked(byId("outbox"), outboxText(overview.outbox));
  drawPictures(overview.pictures, now);
  drawRuns(overview.runs, now);
  drawMails(overview.mails, now);
}

function sum(tasks, ...states) {
  return tasks.reduce((total, task) => total + states.reduce((part, state) => part + (task.states[state] ?? 0), 0), 0);
}

function drawTiles(overview, now) {
  const { tasks, outbox } = overview;
  const dead = sum(tasks, "dead");
  const tiles = [
    { name: "Done, last hour", value: number(sum(tasks, "done", "skipped")), rate: true },
    { name: "Open now", value: number(sum(tasks, "running", "queued")), hint: "running or queued" },
    { name: "Waiting to retry", value: number(sum(tasks, "parked")), hint: "tried again by themselves" },
    { name: "Dead, last hour", value: number(dead), hint: dead ? "kept as dead letters" : "none", level: dead ? "bad" : "" },
    { name: "To be sent", value: number(outbox.due), hint: outbox.set_aside ? `${number(outbox.set_aside)} set aside` : "in the outbox", level: outbox.set_aside ? "bad" : "" },
    { name: "Workers", value: number(overview.workers.length), hint: "seen in 5 minutes", level: overview.workers.length ? "" : "dim" },
  ];
  remember(overview, now);
  keyed(byId("tiles"), tiles, (tile) => tile.name, makeTile, updateTile);
}

function makeTile(tile) {
  const made = element("div", "tile", element("dt", "", tile.name), element("dd", "value"), element("dd", "hint"));
  if (tile.rate) made.append(sparkline());
  return made;
}

function updateTile(node, tile) {
  node.dataset.level = tile.level ?? "";
  say(node.querySelector(".value"), tile.value);
  say(node.querySelector(".hint"), tile.rate ? rateText() : tile.hint);
  if (tile.rate) drawSparkline(node.querySelector("path"));
}

/** The last minute of readings, one for each second, to see the flow. */
function remember(overview, now) {
  const count = sum(overview.tasks, "done", "skipped");
  const last = finished.at(-1);
  if (!last || now > last.now) finished.push({ now, count });
  while (finished.length > HISTORY) finished.shift();
}

function rates() {
  return finished.slice(1).map((reading, index) => {
    const before = finished[index];
    return Math.max(0, ((reading.count - before.count) * 1000) / (reading.now - before.now));
  });
}

function rateText() {
  const recent = rates().slice(-10);
  if (!recent.length) return "measuring the rate";
  const rate = recent.reduce((a, b) => a + b, 0) / recent.length;
  return rate ? `${rate.toFixed(1)} a second` : "quiet now";
}

function sparkline() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 60 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(space, "path"));
  return svg;
}

function drawSparkline(path) {
  const values = rates();
  if (values.length < 2) return;
  const top = Math.max(1, ...values);
  const points = values.map((value, i) => `${60 - values.length + i + 1},${(19 - (value / top) * 16).toFixed(1)}`);
  path.setAttribute("d", `M${60 - values.length + 1},20 L${points.join(" L")} L60,20 Z`);
}

function drawTasks(tasks) {
  const columns = [["done"], ["skipped"], ["running", "queued"], ["parked"], ["dead", "cancelled"]];
  byId("tasks-empty").hidden = tasks.length > 0;
  byId("tasks").closest("table").hidden = tasks.length === 0;
  const make = (row) => {
    const head = element("th", "", ...breakable(row.task));
    head.scope = "row";
    return element("tr", "", head, ...columns.map(() => element("td")));
  };
  keyed(byId("tasks"), tasks, (row) => row.task, make, (node, row) => {
    columns.forEach((states, index) => {
      const cell = node.children[index + 1];
      const value = sum([row], ...states);
      say(cell, number(value));
      cell.className = value ? `is-${states[0]}` : "zero";
    });
  });
}

function drawWorkers(workers, now) {
  byId("workers-empty").hidden = workers.length > 0;
  const make = (worker) => element("li", "", element("b", "", worker.worker), element("span"));
  keyed(byId("workers"), workers, (worker) => worker.worker, make, (node, worker) => {
    const does = worker.running ? `runs ${number(worker.running)}` : "idle";
    say(node.lastChild, `${does}, seen ${ago(worker.last_seen, now)}`);
  });
}

function outboxText(outbox) {
  const parts = [`${number(outbox.due)} to be sent`, `${number(outbox.later)} for later`];
  if (outbox.due) parts.push(`the oldest ${span(outbox.oldest_seconds)} late`);
  if (outbox.set_aside) parts.push(`${number(outbox.set_aside)} set aside: see their errors in \`tailrace.outbox\``);
  return parts.join(", ");
}

function drawPictures(pictures, now) {
  const shown = pictures.filter((picture) => picture.url);
  byId("pictures-empty").hidden = shown.length > 0;
  const make = (picture) => {
    const image = element("img");
    Object.assign(image, { src: picture.url, alt: `Picture of post ${picture.post_id}`, width: picture.width, height: picture.height });
    image.addEventListener("error", () => image.classList.add("broken"));
    return element("li", "", image, element("span"));
  };
  keyed(byId("pictures"), shown, (picture) => picture.url, make, (node, picture) => {
    say(node.lastChild, `post ${picture.post_id} · ${ago(picture.created_at, now)}`);
  });
}

function drawRuns(runs, now) {
  byId("runs-empty").hidden = runs.length > 0;
  byId("runs").closest("table").hidden = runs.length === 0;
  const make = (run) => element("tr", "",
    element("td", "", element("span", "badge")),
    element("td", "task", element("span", "name", ...breakable(run.task)), element("span", "reason")),
    ofCell(run.args),
    element("td", "number"), element("td", "number when"));
  keyed(byId("runs"), runs, (run) => `${run.id}/${run.attempt}`, make, (node, run) => {
    const badge = node.querySelector(".badge");
    badge.dataset.state = run.state;
    say(badge, STATES[run.state] ?? run.state);
    say(node.querySelector(".reason"), reasonText(run, now));
    say(node.children[3], took(run.duration_ms));
    say(node.children[4], ago(run.at, now));
  });
}

function reasonText(run, now) {
  const parts = [];
  if (run.reason) parts.push(run.reason);
  if (run.state === "parked" && run.scheduled_for) {
    parts.push(`attempt ${run.attempt} in ${span((Date.parse(run.scheduled_for) - now) / 1000)}`);
  }
  if (run.takeovers) parts.push(`taken over ${run.takeovers}×`);
  return parts.join(" · ");
}

/** What the run is about: ids first, in one line; all of it when pointed at. */
function ofCell(args) {
  const ids = Object.entries(args).sort(([a], [b]) => b.endsWith("_id") - a.endsWith("_id"));
  const text = ids.map(([name, value]) => {
    return `${name.replace(/_id$/, "")} ${typeof value === "string" ? value : JSON.stringify(value)}`;
  }).join(", ").slice(0, 1000);
  const cell = element("td", "of", text);
  cell.title = text;
  return cell;
}

function drawMails(mails, now) {
  byId("mails-empty").hidden = mails.length > 0;
  const make = (mail) => element("li", "",
    element("span", "badge"), element("b", "", mail.subject), element("span", "to", mail.recipient), element("span", "when"));
  keyed(byId("mails"), mails, (mail) => `${mail.template}/${mail.recipient}/${mail.subject}`, make, (node, mail) => {
    const badge = node.querySelector(".badge");
    badge.dataset.state = mail.state;
    say(badge, MAIL_STATES[mail.state] ?? mail.state);
    say(node.querySelector(".when"), ago(mail.updated_at, now));
  });
}
