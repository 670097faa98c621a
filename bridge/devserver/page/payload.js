// A JSON value as a tree that opens and closes. Built of text nodes only: payloads are untrusted.

import { copy, h } from "./dom.js";

const MANY = 200;
const LONG = 2000;

export function viewer(title, value) {
  const raw = JSON.stringify(value, null, 2) ?? "null";
  const body = h("div", { class: "json" }, node(null, value, 0));
  const button = h("button", { type: "button", class: "tiny", on: { click: () => copy(raw) } }, "Copy");
  return h("section", { class: "block" }, h("h3", {}, title, button), body);
}

function node(key, value, depth) {
  const label = key === null ? [] : [h("span", { class: "k" }, key), ": "];
  if (value !== null && typeof value === "object") return branch(label, value, depth);
  return h("div", { class: "leaf" }, ...label, scalar(value));
}

function scalar(value) {
  const kind = value === null ? "null" : typeof value;
  if (kind !== "string") return h("span", { class: kind }, String(value));
  if (value.length <= LONG) return h("span", { class: "string" }, JSON.stringify(value));
  const rest = h("button", { type: "button", class: "tiny" }, `${value.length - LONG} more characters`);
  const short = h("span", { class: "string" }, JSON.stringify(value.slice(0, LONG)));
  rest.addEventListener("click", () => { short.textContent = JSON.stringify(value); rest.remove(); });
  return h("span", {}, short, " ", rest);
}

function branch(label, value, depth) {
  const list = Array.isArray(value);
  const entries = list ? value.map((item, index) => [String(index), item]) : Object.entries(value);
  const [open, close] = list ? "[]" : "{}";
  if (!entries.length) return h("div", { class: "leaf" }, ...label, h("span", { class: "mark" }, open + close));
  const words = `${entries.length} ${list ? "item" : "key"}${entries.length === 1 ? "" : "s"}`;
  const summary = h("summary", {}, ...label, h("span", { class: "mark" }, open), h("span", { class: "sum" }, words));
  const box = h("details", { open: depth < 3 && entries.length <= 50 }, summary);
  const fill = () => {
    if (box.childElementCount > 1) return;
    box.append(h("div", { class: "kids" }, kids(entries, depth)), h("div", { class: "mark end" }, close));
  };
  if (box.open) fill();
  box.addEventListener("toggle", fill);
  return box;
}

function kids(entries, depth) {
  const shown = entries.slice(0, MANY).map(([key, item]) => node(key, item, depth + 1));
  if (entries.length > MANY) shown.push(h("div", { class: "leaf sum" }, `and ${entries.length - MANY} more; copy to see all`));
  return shown;
}
