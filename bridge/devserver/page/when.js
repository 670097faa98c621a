// Times for people. The server's clock counts; the offset to the browser's is kept here.

let offset = 0;

export function sync(serverNow) { offset = serverNow - Date.now(); }
export const now = () => Date.now() + offset;

const pad = (number, width = 2) => String(number).padStart(width, "0");

export function clock(ms) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

export function full(ms) { return new Date(ms).toISOString(); }

/** "3.2 s", "2 m 05 s", "1 h 12 m", "9 d 4 h". */
export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${pad(Math.floor(seconds % 60))} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} m`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function ago(ms) {
  const passed = now() - ms;
  return passed < 1500 ? "now" : `${span(passed).split(" ").slice(0, 2).join(" ").replace(/\.\d/, "")} ago`;
}

export function took(ms) { return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`; }

export function size(bytes) { return bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`; }
