// The page: one stream in, rows and panels out.

import { figures } from "./chart.js";
import { eventPanel, requestPanel } from "./detail.js";
import { $, call, copy, h, toast } from "./dom.js";
import { faultPanel, showFaults } from "./faults.js";
import { draw, events, headings, requests, take, tick } from "./rows.js";
import { nothing, welcome } from "./start.js";
import { sync } from "./when.js";

const page = { kind: "events", selected: null, panel: null, shown: null, stats: null, faults: [], stream: null };

// The stream

function connect() {
  page.stream?.close();
  const query = new URLSearchParams();
  for (const [name, id] of [["q", "search"], ["api", "api"], ["state", "state"]]) if ($(id).value) query.set(name, $(id).value);
  page.stream = new EventSource(`/_/stream?${query}`);
  page.stream.onopen = () => live("on", "live");
  page.stream.onerror = () => live("off", "reconnecting");
  page.stream.onmessage = (event) => receive(JSON.parse(event.data));
}

function live(state, words) {
  $("live").dataset.state = state;
  $("live").querySelector("span").textContent = words;
}

function receive(message) {
  sync(message.stats.now);
  page.stats = message.stats;
  page.faults = message.faults;
  take(message);
  offerApis(message.stats.known_apis);
  figures(message.stats, nextDue());
  showFaults(message.faults);
  redraw();
  if (page.panel === "event" && concerns(message)) openEvent(page.selected);
}

function concerns(message) {
  return message.events.some((event) => `events:${event.key}` === page.selected)
    || message.requests.some((request) => request.api === page.shown?.api && request.ids.includes(page.shown.id));
}

function nextDue() {
  const due = [...events.values()].filter((event) => event.state === "scheduled").map((event) => event.due);
  return due.length ? Math.min(...due) : null;
}

function offerApis(names) {
  if ($("api").options.length > 1) return;
  $("api").append(...names.map((name) => h("option", { value: name }, name)));
}

// The list

function passes(request) {
  const words = $("search").value.toLowerCase(), api = $("api").value, status = $("status").value;
  return (!api || request.api === api) && (!status || (status === "ok") === request.ok)
    && (!words || [request.path, request.answer, request.error ?? "", ...request.ids, ...request.names]
      .some((word) => word.toLowerCase().includes(words)));
}

function redraw() {
  const shown = draw(page.kind, page.selected, passes, open);
  const { total, kept } = page.stats ?? { total: { events: 0, requests: 0 }, kept: { evicted: 0 } };
  const all = page.kind === "events" ? total.events : total.requests;
  $("empty").hidden = shown > 0;
  const mood = shown ? "" : all ? "nothing" : "welcome";
  if ($("empty").dataset.mood !== mood) {
    $("empty").dataset.mood = mood;
    $("empty").replaceChildren(...(mood === "welcome" ? welcome() : mood ? nothing() : []));
  }
  const gone = kept.evicted ? `, ${kept.evicted} forgotten` : "";
  $("foot").textContent = `${shown} of ${all} ${page.kind} shown${page.kind === "events" ? gone : ""} · ? for keys`;
}

function show(kind) {
  page.kind = kind;
  for (const name of ["events", "requests"]) $(`tab-${name}`).setAttribute("aria-selected", String(name === kind));
  $("state-pick").hidden = kind !== "events";
  $("status-pick").hidden = kind !== "requests";
  headings(kind);
  $("rows").replaceChildren();
  redraw();
}

function move(step) {
  const rows = [...$("rows").children];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement.closest(".row") ?? $("rows").querySelector("[aria-current=true]"));
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
}

// The panel

function open(key, given) {
  page.selected = key;
  if (key.startsWith("events:")) openEvent(key);
  else panel("request", requestPanel(given ?? requests.get(key.slice(9)), close, findId));
  redraw();
}

async function openEvent(key) {
  try {
    const found = await call("GET", `/_/event?key=${encodeURIComponent(key.slice(7))}`);
    if (page.selected !== key) return;
    page.shown = found.event;
    panel("event", eventPanel(found, close, open));
  } catch (problem) {
    toast(problem.message);
  }
}

function findId(id) {
  $("search").value = id;
  show("events");
  connect();
}

function panel(kind, nodes) {
  const side = $("side"), body = side.querySelector(".side-body");
  const top = page.panel === kind && body ? body.scrollTop : 0;
  page.panel = kind;
  side.replaceChildren(...nodes);
  side.querySelector(".side-body").scrollTop = top;
  document.body.classList.add("with-side");
  $("faults-open").setAttribute("aria-expanded", String(kind === "faults"));
}

function close() {
  const row = [...$("rows").children].find((candidate) => candidate.dataset.key === page.selected);
  page.panel = page.selected = null;
  $("side").replaceChildren();
  document.body.classList.remove("with-side");
  $("faults-open").setAttribute("aria-expanded", "false");
  redraw();
  (row ?? $("rows")).focus();
}

function toggleFaults() {
  if (page.panel === "faults") return close();
  page.selected = null;
  panel("faults", faultPanel(close, page.stats?.known_apis ?? []));
  showFaults(page.faults);
  redraw();
}

// Theme and keys

function theme(next) {
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* private windows may refuse; the theme still holds */ }
}

function turnTheme() {
  const order = ["auto", "dark", "light"];
  theme(order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length]);
  toast(`Theme: ${document.documentElement.dataset.theme}`);
}

const KEYS = {
  "/": () => { $("search").focus(); $("search").select(); },
  j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  e: () => show("events"), r: () => show("requests"), f: toggleFaults, t: turnTheme,
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape") return typing ? typing.blur() : page.panel && close();
  if (typing || !KEYS[event.key] || (event.key.startsWith("Arrow") && !event.target.closest(".rows, body"))) return undefined;
  event.preventDefault();
  return KEYS[event.key]();
});

// Start

let typing = 0;
$("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(connect, 150); });
for (const id of ["api", "state"]) $(id).addEventListener("change", connect);
$("status").addEventListener("change", redraw);
for (const kind of ["events", "requests"]) $(`tab-${kind}`).addEventListener("click", () => show(kind));
$("faults-open").addEventListener("click", toggleFaults);
$("theme").addEventListener("click", turnTheme);
$("reset").addEventListener("click", async () => {
  try { await call("POST", "/_/reset"); if (page.panel !== "faults") close(); } catch (problem) { toast(problem.message); }
});
$("address").textContent = location.origin;
$("address").addEventListener("click", () => copy(location.origin));
try { theme(localStorage.getItem("theme") ?? "auto"); } catch { theme("auto"); }
show("events");
setInterval(tick, 200);
connect();
