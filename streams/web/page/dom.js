// Building blocks of the page. Text from outside enters only through textContent, so it is never markup.

export function byId(id) {
  return document.getElementById(id);
}

/** An element with a class and children; a string child becomes text. */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Make `parent` hold one child for each item, keeping those whose key is known.
    `make(item)` builds a child; `update(child, item)` brings it up to date. */
export function keyed(parent, items, key, make, update) {
  const wanted = new Map(items.map((item) => [String(key(item)), item]));
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  for (const [name, child] of known) if (!wanted.has(name)) child.remove();
  let place = parent.firstElementChild;
  for (const [name, item] of wanted) {
    const child = known.get(name) ?? make(item);
    child.dataset.key = name;
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/** Set text only where it differs, so that selections and screen readers are left alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The parts of a name with places to break it after each underscore. */
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part) => [part, document.createElement("wbr")]);
}

/** Set text in which commands stand between backticks; they become code. */
export function sayMarked(node, text) {
  if (node.textContent === text.replaceAll("`", "")) return;
  node.replaceChildren(...text.split("`").map((part, i) => (i % 2 ? element("code", "", part) : part)));
}

const whole = new Intl.NumberFormat("en");

export function number(value) {
  return whole.format(value);
}

/** Seconds as the two largest units that matter: 4 s, 3 min, 2 h. */
export function span(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function ago(instant, now) {
  const seconds = (now - Date.parse(instant)) / 1000;
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
}

export function took(milliseconds) {
  if (milliseconds === null) return "";
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function clock(instant) {
  return new Date(instant).toLocaleTimeString("en-GB");
}
