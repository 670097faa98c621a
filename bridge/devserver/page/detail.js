// The panel on the right: one event with all its requests, or one request.

import { copy, h } from "./dom.js";
import { viewer } from "./payload.js";
import { statusClass } from "./rows.js";
import { clock, full, now, size, span, took } from "./when.js";

export function head(title, sub, close) {
  return h("header", { class: "side-head" },
    h("div", {}, h("h2", {}, title), sub),
    h("button", { type: "button", class: "quiet close", title: "Close (Esc)", "aria-label": "Close", on: { click: close } }, "✕"));
}

function fact(name, ...value) { return [h("dt", {}, name), h("dd", {}, ...value)]; }

function idLine(id) {
  const button = h("button", { type: "button", class: "tiny", on: { click: () => copy(id) } }, "Copy");
  return h("p", { class: "id" }, h("code", {}, id), button);
}

export function eventPanel({ event, requests }, close, openRequest) {
  const state = h("span", { class: `pill ${event.state}` }, event.state);
  const failed = requests.filter((request) => !request.ok).length;
  return [
    head(event.name || "(no name)", idLine(event.id), close),
    h("div", { class: "side-body" },
      h("dl", { class: "facts" },
        fact("State", state, event.state === "scheduled"
          ? h("time", { class: "due", "data-due": event.due, "data-from": event.first_seen }, span(event.due - now())) : ""),
        fact("API", h("span", { class: "api", "data-api": event.api }, event.api)),
        fact("First seen", h("time", { title: full(event.first_seen) }, clock(event.first_seen))),
        event.due > event.first_seen ? fact("Due", h("time", { title: full(event.due) }, clock(event.due)),
          ` (+${span(event.due - event.first_seen)})`) : [],
        fact("Deliveries", `${event.deliveries}`, event.duplicates ? h("span", { class: "badge dup" }, `${event.duplicates} duplicate${event.duplicates === 1 ? "" : "s"}`) : ""),
        event.conflicts ? fact("Conflicts", h("span", { class: "badge odd" }, `${event.conflicts} with another content`)) : [],
        fact("Runs", String(event.runs))),
      viewer("Payload", event.payload),
      Object.keys(event.details).length ? viewer("Details", event.details) : null,
      h("section", { class: "block" },
        h("h3", {}, "Attempts", h("small", {}, attemptWords(requests.length, failed))),
        h("ol", { class: "attempts" }, requests.map((request) => attempt(request, openRequest)))),
      event.refs.length ? viewer("The API’s own ids", event.refs) : null),
  ];
}

function attemptWords(all, failed) {
  return all ? `${all} request${all === 1 ? "" : "s"}${failed ? `, ${failed} failed` : ""}` : "their requests have left the ring";
}

function attempt(request, open) {
  return h("li", { "data-state": statusClass(request) },
    h("button", { type: "button", on: { click: () => open(`requests:${request.seq}`, request) } },
      h("span", { class: "status" }, request.status === 0 ? "none" : request.status),
      h("time", { title: full(request.at) }, clock(request.at)),
      h("span", { class: "grow" }, request.error ?? (request.events > 1 ? `batch of ${request.events}` : "")),
      request.attempt ? h("small", {}, `#${request.attempt}`) : null,
      request.fault ? h("span", { class: "badge bad" }, request.fault) : null,
      h("span", { class: "took" }, took(request.duration_ms))));
}

export function requestPanel(request, close, openEvents) {
  const status = h("span", { class: `pill ${statusClass(request)}` }, request.status === 0 ? "no answer" : request.status);
  return [
    head(`${request.method} ${request.path}`, h("p", { class: "id" }, status), close),
    h("div", { class: "side-body" },
      h("dl", { class: "facts" },
        fact("API", h("span", { class: "api", "data-api": request.api }, request.api)),
        fact("At", h("time", { title: full(request.at) }, clock(request.at))),
        fact("Took", took(request.duration_ms)),
        fact("Body", size(request.size)),
        fact("Events", String(request.events)),
        fact("Taken in", request.stored ? "yes" : "no"),
        request.attempt ? fact("Attempt", request.attempt) : [],
        request.fault ? fact("Fault", h("span", { class: "badge bad" }, request.fault)) : [],
        request.error ? fact("Ended", request.error) : []),
      request.answer ? h("section", { class: "block" }, h("h3", {}, "Answer"), h("pre", { class: "raw" }, request.answer)) : null,
      request.ids.length ? h("section", { class: "block" }, h("h3", {}, "Event ids"),
        h("ul", { class: "ids" }, request.ids.map((id) =>
          h("li", {}, h("button", { type: "button", class: "link", on: { click: () => openEvents(id) } }, id))))) : null,
      viewer("Headers", request.headers)),
  ];
}
