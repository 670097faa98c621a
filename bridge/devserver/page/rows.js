// The list on the left: rows that are kept by key and changed in place.

import { $, h, text } from "./dom.js";
import { ago, clock, full, now, size, span, took } from "./when.js";

const KEPT = 300;
export const events = new Map();
export const requests = new Map();
const drawn = new Map();

export function statusClass(entry) {
  if (entry.status === 0) return "bad";
  return entry.ok ? "ok" : entry.status < 400 ? "odd" : entry.status < 500 ? "warn" : "bad";
}

export function take(message) {
  if (message.fresh) { events.clear(); requests.clear(); }
  for (const event of message.events) events.set(event.key, event);
  for (const key of message.gone) events.delete(key);
  for (const request of message.requests) requests.set(String(request.seq), request);
  trim(events, (a, b) => b.first_seen - a.first_seen);
  trim(requests, (a, b) => b.seq - a.seq);
}

function trim(map, order) {
  if (map.size <= KEPT) return;
  for (const [key] of [...map].sort(([, a], [, b]) => order(a, b)).slice(KEPT)) map.delete(key);
}

/** Draw the rows of one kind; `wanted` says which requests pass the filters (events are filtered by the server). */
export function draw(kind, selected, wanted, open) {
  const list = kind === "events"
    ? [...events.values()].sort((a, b) => b.first_seen - a.first_seen || (a.key < b.key ? -1 : 1))
    : [...requests.values()].filter(wanted).sort((a, b) => b.seq - a.seq);
  const box = $("rows"), keyed = list.map((item) => [`${kind}:${item.key ?? item.seq}`, item]);
  const keep = new Set(keyed.map(([key]) => key));
  for (const [key, { row }] of drawn) if (!keep.has(key)) { row.remove(); drawn.delete(key); }
  let before = box.firstElementChild;
  for (const [key, item] of keyed) {
    const row = refreshed(kind, key, item, open);
    row.setAttribute("aria-current", String(key === selected));
    if (row === before) before = before.nextElementSibling;
    else box.insertBefore(row, before);
  }
  return list.length;
}

function refreshed(kind, key, item, open) {
  const print = JSON.stringify(item), old = drawn.get(key);
  if (old?.print === print) return old.row;
  const row = old?.row ?? h("button", { type: "button", class: `row ${kind}`, "data-key": key, on: { click: () => open(key) } });
  row.replaceChildren(...(kind === "events" ? eventCells(item) : requestCells(item)));
  row.dataset.state = kind === "events" ? item.state : statusClass(item);
  if (!old) row.classList.add("new");
  drawn.set(key, { row, print });
  return row;
}

function eventCells(event) {
  const times = event.deliveries > 1
    ? h("span", { class: "badge dup", title: `${event.duplicates} of ${event.deliveries} deliveries were duplicates` }, `×${event.deliveries}`)
    : null;
  const other = event.conflicts ? h("span", { class: "badge odd", title: "the same id came with another content" }, "conflict") : null;
  return [
    h("span", { class: "dot", title: event.state }),
    h("span", { class: "who" }, h("b", {}, event.name || "(no name)"), h("small", {}, event.id)),
    h("span", { class: "api", "data-api": event.api }, event.api),
    h("code", { class: "peek" }, event.preview),
    h("span", { class: "marks" }, times, other),
    event.state === "scheduled"
      ? h("time", { class: "due", "data-due": event.due, "data-from": event.first_seen, title: `due ${full(event.due)}` }, span(event.due - now()))
      : h("time", { "data-ago": event.first_seen, title: full(event.first_seen) }, ago(event.first_seen)),
  ];
}

function requestCells(request) {
  const more = request.events > 1 ? `${request.names[0] ?? ""} +${request.events - 1}` : request.names[0] ?? "";
  return [
    h("span", { class: "status" }, request.status === 0 ? "none" : request.status),
    h("span", { class: "who" }, h("b", {}, `${request.method} ${request.path}`), h("small", {}, more || "no event")),
    h("span", { class: "api", "data-api": request.api }, request.api),
    h("code", { class: "peek" }, request.error ?? request.answer),
    h("span", { class: "marks" },
      request.attempt && request.attempt !== "1" ? h("span", { class: "badge" }, `attempt ${request.attempt}`) : null,
      request.fault ? h("span", { class: "badge bad", title: "a fault did this" }, request.fault) : null,
      request.fault && request.stored && !request.ok ? h("span", { class: "badge odd", title: "the event was stored nevertheless" }, "stored") : null),
    h("span", { class: "took" }, h("span", {}, took(request.duration_ms)), h("small", {}, size(request.size))),
    h("time", { title: full(request.at) }, clock(request.at)),
  ];
}

export function headings(kind) {
  const words = kind === "events"
    ? ["", "Event", "API", "Payload", "", "Seen"]
    : ["Status", "Request", "API", "Answer", "", "Took", "At"];
  $("heads").className = `heads ${kind}`;
  $("heads").replaceChildren(...words.map((word) => h("span", {}, word)));
}

/** Count down and count up, without drawing anything anew. */
export function tick() {
  const at = now();
  for (const time of document.querySelectorAll("time[data-due]")) {
    const due = Number(time.dataset.due), from = Number(time.dataset.from);
    text(time, due > at ? span(due - at) : "due");
    time.style.setProperty("--gone", `${Math.min(100, ((at - from) / Math.max(1, due - from)) * 100)}%`);
  }
  for (const time of document.querySelectorAll("time[data-ago]")) text(time, ago(Number(time.dataset.ago)));
}
