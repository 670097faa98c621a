// What the list shows before the first event: one command for each API.

import { copy, h } from "./dom.js";

const json = "-H 'content-type: application/json'";
const bearer = "-H 'authorization: Bearer dev'";
const EXAMPLES = [
  ["Inngest", (url) => `curl ${url}/e/dev ${json} -d '{"name":"user.created","id":"u-1","data":{"plan":"pro"}}'`],
  ["Trigger.dev v1", (url) => `curl ${url}/api/v1/events ${bearer} ${json} -d '{"id":"u-2","event":{"name":"user.created","payload":{"plan":"pro"},"delay":{"seconds":30}}}'`],
  ["Trigger.dev v2", (url) => `curl ${url}/api/v1/events ${bearer} ${json} -d '{"event":{"id":"u-3","name":"user.created","payload":{"plan":"pro"}},"options":{"deliverAfter":10}}'`],
  ["Trigger.dev task", (url) => `curl ${url}/api/v1/tasks/welcome/trigger ${bearer} ${json} -d '{"payload":{"plan":"pro"},"options":{"idempotencyKey":"u-4"}}'`],
  ["Zopio", (url) => `curl ${url}/trigger ${json} -d '{"event":"user.created","payload":{"plan":"pro"}}'`],
  ["Webhook", (url) => `curl ${url}/webhook/orders ${json} -H 'webhook-id: o-1' -d '{"total":42}'`],
  ["CloudEvents", (url) => `curl ${url}/cloudevents -H 'content-type: application/cloudevents+json' -d '{"specversion":"1.0","id":"c-1","source":"/shop","type":"order.paid","data":{"total":42}}'`],
];

export function welcome() {
  return [
    h("h2", {}, "Waiting for the first event"),
    h("p", {}, "Point the bridge at this address, or send one by hand:"),
    h("ul", {}, EXAMPLES.map(([name, command]) => {
      const line = command(location.origin);
      return h("li", {}, h("b", {}, name), h("code", {}, line),
        h("button", { type: "button", class: "tiny", "aria-label": `Copy the ${name} command`, on: { click: () => copy(line) } }, "Copy"));
    })),
  ];
}

export function nothing() {
  return [h("h2", {}, "Nothing matches"), h("p", {}, "Clear the search or the filters to see more.")];
}
