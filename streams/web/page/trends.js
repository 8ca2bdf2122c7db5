// The top tags as bars that grow and change places.

import { byId, element, keyed, number, say, span } from "./dom.js";

export const WINDOWS = { "5m": "5 min", "15m": "15 min", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days" };
export const RANKS = { count: "Most used", trending: "Trending" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether there is such a list: what trends compares whole hours. */
export function isOffered({ rank, window }) {
  return rank === "count" || ["1h", "6h", "24h"].includes(window);
}

/** Draw both switches, or bring them up to date; `changed({window})` or `changed({rank})` is called on a choice. */
export function drawSwitches(chosen, changed) {
  drawSwitch("ranks", RANKS, "rank", chosen, changed);
  drawSwitch("windows", WINDOWS, "window", chosen, changed);
}

function drawSwitch(id, choices, name, chosen, changed) {
  const make = ([value, label]) => {
    const input = element("input");
    Object.assign(input, { type: "radio", name, value });
    input.addEventListener("change", () => changed({ [name]: value }));
    return element("label", "", input, element("span", "", label));
  };
  keyed(byId(id), Object.entries(choices), ([value]) => value, make, (label, [value]) => {
    const input = label.firstChild;
    input.checked = chosen[name] === value;
    input.disabled = !isOffered({ ...chosen, [name]: value });
  });
}

/** Show an answer of /api/v1/trends/tags. */
export function drawTags(answer) {
  const list = byId("tags");
  const before = positions(list);
  const most = Math.max(1, ...answer.tags.map(weight));
  keyed(list, answer.tags, (tag) => tag.tag, makeBar, (bar, tag) => updateBar(bar, tag, most));
  if (!calm.matches) glide(list, before);
  byId("tags-empty").hidden = answer.tags.length > 0;
  say(byId("tags-note"), note(answer));
  byId("tags-note").dataset.level = answer.complete ? "well" : "warning";
}

function weight(tag) {
  return tag.score ?? tag.uses;
}

function note(answer) {
  if (answer.as_of === null) return "Nothing has been counted yet: the first worker that starts begins to count.";
  if (!answer.complete) return "Incomplete: some events of this window are not counted yet, or are gone from the log.";
  if (answer.rank === "trending") {
    return `More than usual: uses in an hour against the same hour of the last 7 days; a peak loses half in ${span(answer.half_life_s)}.`;
  }
  return `Uses in public posts of the last ${WINDOWS[answer.window].replace(/^1 /, "")}, each event counted once.`;
}

function makeBar(tag) {
  const bar = element(
    "li", "",
    element("span", "fill"),
    element("span", "tag", element("span", "hash", "#"), element("bdi", "", tag.tag)),
    element("span", "why"),
    element("span", "uses"),
  );
  bar.title = tag.tag;
  return bar;
}

function updateBar(bar, tag, most) {
  const uses = bar.querySelector(".uses");
  say(bar.querySelector(".why"), why(tag));
  const grown = Number(bar.dataset.uses ?? tag.uses) < tag.uses;
  bar.dataset.uses = tag.uses;
  bar.querySelector(".fill").style.transform = `scaleX(${weight(tag) / most})`;
  if (uses.firstChild) say(uses.firstChild, number(tag.uses));
  else uses.append(element("span", "", number(tag.uses)), element("span", "unseen", " uses"));
  if (grown && !calm.matches) {
    uses.getAnimations().forEach((animation) => animation.cancel());
    uses.animate([{ color: "var(--accent)", transform: "scale(1.18)" }, {}], { duration: 700, easing: "ease-out" });
  }
}

/** In words, what the score is made of. */
function why(tag) {
  if (tag.score === undefined) return "";
  const usual = tag.baseline < 10 ? Math.round(tag.baseline * 10) / 10 : Math.round(tag.baseline);
  const when = tag.age_s ? `, ${span(tag.age_s)} ago` : "";
  return `${number(tag.observed)} an hour${when}, usually ${number(usual)}`;
}

function positions(list) {
  return new Map([...list.children].map((child) => [child, child.offsetTop]));
}

/** Let each bar move from where it was to where it is. */
function glide(list, before) {
  for (const child of list.children) {
    const from = before.get(child);
    const moved = from === undefined ? null : from - child.offsetTop;
    if (moved === null) child.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 400 });
    else if (moved) {
      child.animate([{ transform: `translateY(${moved}px)` }, {}], { duration: 450, easing: "cubic-bezier(.2,.8,.2,1)" });
    }
  }
}
