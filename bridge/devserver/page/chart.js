// The figures at the top: tiles and the bars of the last five minutes.

import { $, svg, text } from "./dom.js";
import { now, span } from "./when.js";

const BARS = 60;
const BAR_SECONDS = 5;
const number = new Intl.NumberFormat("en");
let drawn = 0;

export function figures(stats, nextDue) {
  const { total } = stats;
  text($("n-events"), number.format(total.events));
  text($("s-events"), total.deliveries ? `${number.format(total.deliveries)} deliveries` : "nothing sent yet");
  text($("n-dups"), number.format(total.duplicates));
  text($("s-dups"), total.conflicts ? `${number.format(total.conflicts)} with another content` : "same id again");
  text($("n-wait"), number.format(stats.scheduled));
  text($("s-wait"), stats.scheduled && nextDue ? `next in ${span(nextDue - now())}` : "due later");
  minute(stats);
  if (Date.now() - drawn > 900) { drawn = Date.now(); bars(stats); }
}

function minute(stats) {
  const since = stats.now / 1000 - 60;
  let ok = 0, bad = 0;
  for (const [second, good, failed] of stats.rate) if (second > since) { ok += good; bad += failed; }
  const all = ok + bad;
  const share = all ? (ok / all) * 100 : 0;
  text($("n-rate"), all ? `${share === 100 || share === 0 ? share : share.toFixed(1)} %` : "–");
  text($("s-rate"), all ? `${number.format(ok)} ok · ${number.format(bad)} failed per minute` : "no requests");
  $("n-rate").parentElement.dataset.level = !all ? "" : share >= 99.9 ? "good" : share >= 90 ? "fair" : "poor";
}

function bars(stats) {
  const last = Math.floor(stats.now / 1000 / BAR_SECONDS);
  const sums = Array.from({ length: BARS }, () => [0, 0]);
  for (const [second, good, failed] of stats.rate) {
    const index = BARS - 1 - (last - Math.floor(second / BAR_SECONDS));
    if (index >= 0 && index < BARS) { sums[index][0] += good; sums[index][1] += failed; }
  }
  const top = Math.max(1, ...sums.map(([good, failed]) => good + failed));
  const chart = $("chart");
  chart.setAttribute("viewBox", `0 0 ${BARS * 6} 48`);
  chart.replaceChildren(...sums.flatMap(([good, failed], index) => bar(index, good, failed, top)));
}

function bar(index, good, failed, top) {
  const x = index * 6 + 1, full = 46;
  if (good + failed === 0) return [svg("rect", { x, y: 46, width: 4, height: 1.5, class: "none" })];
  const high = Math.max(2, (good / top) * full) * (good > 0), red = Math.max(2, (failed / top) * full) * (failed > 0);
  const rects = [];
  if (high) rects.push(svg("rect", { x, y: 47.5 - high, width: 4, height: high, class: "ok", rx: 1 }));
  if (red) rects.push(svg("rect", { x, y: Math.max(0, 47.5 - high - red), width: 4, height: red, class: "bad", rx: 1 }));
  return rects;
}
