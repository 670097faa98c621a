// The panel of faults: what is broken now, presets, and a form for the rest.

import { $, call, h, toast } from "./dom.js";
import { head } from "./detail.js";

const PRESETS = [
  ["503 once", { kind: "status", status: 503, times: 1 }],
  ["500 for 20 %", { kind: "status", status: 500, rate: 20 }],
  ["429, wait 5 s", { kind: "status", status: 429, retry_after: 5, times: 5 }],
  ["401 for all", { kind: "status", status: 401 }],
  ["Fail twice an event", { kind: "status", status: 503, each: 2 }],
  ["Store, then reset", { kind: "reset", stored: true, times: 1 }],
  ["Hang", { kind: "hang", times: 1 }],
  ["2 s slower", { kind: "slow", latency_ms: 2000 }],
  ["Poison an event", { kind: "poison", poison: "refused on purpose", name: "user.*" }],
];
const KINDS = [["status", "Answer with a status"], ["reset", "Reset the connection"], ["hang", "Never answer"],
  ["slow", "Answer late"], ["poison", "Refuse single events"]];
const FIELDS = [
  { name: "status", label: "Status", type: "number", min: 200, max: 599, kinds: ["status"], start: 503 },
  { name: "retry_after", label: "Retry-After, s", type: "number", min: 0, kinds: ["status"] },
  { name: "latency_ms", label: "Latency, ms", type: "number", min: 0, kinds: ["slow"], start: 1000 },
  { name: "jitter_ms", label: "Jitter, ms", type: "number", min: 0, kinds: ["slow"] },
  { name: "poison", label: "Reason", type: "text", kinds: ["poison"], start: "refused on purpose", wide: true },
  { name: "name", label: "Event name", type: "text", hint: "any, or user.*" },
  { name: "rate", label: "Share, %", type: "number", min: 1, max: 100, hint: "100" },
  { name: "times", label: "Requests in all", type: "number", min: 1, hint: "no limit" },
  { name: "each", label: "Times an event id", type: "number", min: 1, hint: "no limit" },
  { name: "lasts", label: "Ends after, s", type: "number", min: 1, hint: "never" },
];

let form, list, error, apis = [];

export function faultPanel(close, knownApis) {
  apis = knownApis;
  list = h("ul", { class: "faults", id: "fault-list" });
  error = h("p", { class: "error", role: "alert", hidden: true });
  form = h("form", { class: "fault-form", id: "fault-form", on: { submit: add, change: adapt } }, fields());
  const presets = h("div", { class: "presets" }, PRESETS.map(([title, values]) =>
    h("button", { type: "button", class: "chip", on: { click: () => fill(values) } }, title)));
  const sub = h("p", { class: "sub" }, "Break what the bridge has to survive.");
  const panel = [
    head("Faults", sub, close),
    h("div", { class: "side-body" },
      h("section", { class: "block" }, h("h3", {}, "At work"), list),
      h("section", { class: "block" }, h("h3", {}, "Add a fault"), presets, form)),
  ];
  adapt();
  return panel;
}

function fields() {
  const kind = h("select", { name: "kind", id: "fault-kind" }, KINDS.map(([value, words]) => h("option", { value }, words)));
  const api = h("select", { name: "api" }, h("option", { value: "" }, "Any API"), apis.map((name) => h("option", { value: name }, name)));
  const inputs = FIELDS.map((field) => h("label", { "data-kinds": field.kinds?.join(" "), class: field.wide ? "wide" : null }, field.label,
    h("input", { name: field.name, type: field.type, min: field.min, max: field.max, step: field.type === "number" ? "any" : null,
      placeholder: field.hint, value: field.start, autocomplete: "off" })));
  const stored = h("label", { class: "check wide", "data-kinds": "status reset hang" },
    h("input", { type: "checkbox", name: "stored" }), "Take the event in nevertheless");
  return [h("label", {}, "What happens", kind), h("label", {}, "API", api), ...inputs, stored, error,
    h("button", { class: "primary wide", type: "submit" }, "Add the fault")];
}

function adapt() {
  const kind = form.elements.kind.value;
  for (const label of form.querySelectorAll("[data-kinds]")) label.hidden = !label.dataset.kinds.split(" ").includes(kind);
}

function fill(values) {
  form.reset();
  for (const field of FIELDS) if (field.start !== undefined && !(field.name in values)) form.elements[field.name].value = field.start;
  for (const [name, value] of Object.entries(values)) {
    if (name === "stored") form.elements.stored.checked = value;
    else form.elements[name].value = value;
  }
  adapt();
  form.querySelector("button.primary").focus();
}

function read() {
  const value = (name) => form.elements[name].value.trim();
  const kind = value("kind"), fault = { match: {} };
  for (const name of ["api", "name"]) if (value(name)) fault.match[name] = value(name);
  for (const field of FIELDS) {
    if (field.name === "name" || !value(field.name) || (field.kinds && !field.kinds.includes(kind))) continue;
    fault[field.name] = field.type === "number" ? Number(value(field.name)) : value(field.name);
  }
  if (fault.rate) fault.rate /= 100;
  if (kind === "reset" || kind === "hang") fault[kind] = true;
  if (form.elements.stored.checked && kind !== "slow" && kind !== "poison") fault.stored = true;
  return fault;
}

async function add(event) {
  event.preventDefault();
  try {
    await call("POST", "/_/faults", read());
    error.hidden = true;
    toast("The fault is at work");
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
  }
}

async function remove(id) {
  try {
    await call("DELETE", `/_/faults/${encodeURIComponent(id)}`);
  } catch (problem) {
    toast(problem.message);
  }
}

function words(fault) {
  const what = [];
  if (fault.status) what.push(`answers ${fault.status}`);
  if (fault.reset) what.push("resets the connection");
  if (fault.hang) what.push("never answers");
  if (fault.poison) what.push(`refuses: ${fault.poison}`);
  if (fault.latency_ms || fault.jitter_ms) what.push(`waits ${fault.latency_ms ?? 0}${fault.jitter_ms ? ` to ${(fault.latency_ms ?? 0) + fault.jitter_ms}` : ""} ms`);
  if (fault.drip_ms) what.push(`a byte each ${fault.drip_ms} ms`);
  if (fault.cut !== undefined) what.push(`cut after ${fault.cut} bytes`);
  if (fault.retry_after !== undefined) what.push(`Retry-After ${fault.retry_after} s`);
  if (fault.stored) what.push("but takes the event in");
  return what.join(", ");
}

function limits(fault) {
  const some = Object.entries(fault.match ?? {}).map(([name, value]) => `${name} ${value}`);
  if (fault.rate) some.push(`${Math.round(fault.rate * 1000) / 10} % of requests`);
  if (fault.after) some.push(`after ${fault.after}`);
  if (fault.times) some.push(`${fault.times} in all`);
  if (fault.each) some.push(`${fault.each} an event id`);
  if (fault.lasts) some.push(`for ${fault.lasts} s`);
  return some.join(" · ") || "every request";
}

let print = "";
export function showFaults(faults) {
  const busy = faults.filter((fault) => fault.state === "active").length;
  $("faults-count").textContent = String(busy);
  $("faults-count").hidden = busy === 0;
  const same = JSON.stringify(faults);
  if (!list || (same === print && list.childElementCount)) return;
  print = same;
  list.replaceChildren(...(faults.length ? faults.map(item) : [h("li", { class: "none" }, "Nothing is broken.")]));
}

function item(active) {
  return h("li", { "data-state": active.state, "data-fault": active.id },
    h("div", {}, h("b", {}, words(active.fault)), h("small", {}, `${active.id} · ${limits(active.fault)}`)),
    h("span", { class: "badge", title: `${active.seen} requests matched` }, `${active.hits} hit${active.hits === 1 ? "" : "s"}`),
    active.state === "active" ? null : h("span", { class: "badge" }, active.state),
    h("button", { type: "button", class: "tiny danger", "aria-label": `Remove fault ${active.id}`, on: { click: () => remove(active.id) } }, "Remove"));
}
