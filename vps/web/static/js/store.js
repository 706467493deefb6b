// What the page knows, and the rules that follow from it. One object; whoever changes it calls changed().
import { isDate } from "./dates.js";
import { known } from "./format.js";

/**
 * @typedef {{ t: number, pv_w: number | null, load_w: number | null, battery_w: number | null, grid_w: number | null,
 *   soc_pct: number | null, flows: Record<string, number> | null }} Sample
 * @typedef {{ view: string, date: string, device: string }} Route
 */

export const state = {
  /** @type {any} */
  session: null,
  /** @type {any[]} */
  devices: [],
  /** Several devices each that are looked at like one, see sites.js. Their ids begin with "!", which no device's does. @type {any[]} */
  sites: [],
  device: "",
  /** @type {Route} */
  route: { view: "now", date: "", device: "" },
  settings: { lang: "", theme: "auto", unit: "auto", start: "auto", compare: "last_year" },
  /** Newest first is not assumed: in order of time, of the last 10 min. @type {Sample[]} */
  samples: [],
  /** @type {any} */
  today: null,
  /** State as the server reported it, and since when. @type {{ state: string, since: string | null } | null} */
  told: null,
  /** When the connection was lost and when it is tried again, ms; 0 if there is one. */
  lost: 0,
  retryAt: 0,
  /** When the server was heard of last, ms. */
  heard: 0,
  build: "",
  /** Clock of the server minus clock of this browser, ms. */
  ahead: 0,
  unit: { unit: "W", low: 0 },
  wide: false,
  kiosk: false,
  lowPower: false,
  help: false,
  menu: false,
  /** Whether the charts of the first view are drawn, and whether this is being printed. */
  ready: false,
  printing: false,
  /** @type {{ kind: string, text: string } | null} */
  loginError: null,
  /** Charts that are shown as a table. @type {Set<string>} */
  tables: new Set(),
};

/** @type {(all: boolean) => void} */
let redraw = () => {};
let waiting = false;
let wholly = false;
let toFocus = "";

/** @param {(all: boolean) => void} f draws the page, or only what is around the view */
export function onChange(f) {
  redraw = f;
}

/** The page is drawn once, soon, however often this is called. @param {boolean} [headOnly] if the view shows nothing of it */
export function changed(headOnly) {
  wholly = wholly || headOnly !== true;
  if (waiting) return;
  waiting = true;
  const run = () => {
    if (!waiting) return;
    waiting = false;
    const all = wholly;
    wholly = false;
    redraw(all);
    const found = toFocus ? /** @type {HTMLElement | null} */ (document.querySelector(toFocus)) : null;
    toFocus = "";
    if (found) found.focus();
  };
  // A hidden page gets no animation frames, but is to be right when it is looked at.
  if (document.hidden) setTimeout(run, 0);
  else requestAnimationFrame(run);
}

/** The page is drawn, and the focus moves to something that then is there. @param {string} selector */
export function focusOn(selector) {
  toFocus = selector;
  changed();
}

/** The server's time now, s. */
export function serverNow() {
  return (Date.now() + state.ahead) / 1000;
}

/** @param {string | null | undefined} time RFC 3339 @returns {number | null} s since 1970 */
export function seconds(time) {
  const ms = time ? Date.parse(time) : NaN;
  return Number.isFinite(ms) ? ms / 1000 : null;
}

/** @returns {any} the device on the screen, or null */
export function currentDevice() {
  return [...state.devices, ...state.sites].find((d) => d.id === state.device) || null;
}

export function deviceZone() {
  const d = currentDevice();
  return (d && d.time_zone) || "UTC";
}

/** @returns {Sample | null} */
export function newestSample() {
  return state.samples.length ? state.samples[state.samples.length - 1] : null;
}

/** Seconds since the newest sample was measured, by the server's clock; null if there is none. */
export function ageNow() {
  const s = newestSample();
  const d = currentDevice();
  const at = s ? s.t : d && seconds(d.last_sample);
  return known(at) ? Math.max(0, serverNow() - at) : null;
}

/**
 * The state of a device by the age of its newest sample, in poll intervals, as the server computes it. Only the server
 * can know that a unit is asleep.
 * @param {number | null} age s @param {number | null | undefined} interval s @param {string} [told]
 */
export function stateByAge(age, interval, told) {
  if (age === null) return "never";
  const p = known(interval) && interval > 0 ? interval : 5;
  const by = age <= 3 * p ? "live" : age <= 12 * p ? "delayed" : age <= 180 * p ? "stale" : "offline";
  return told === "asleep" && (by === "stale" || by === "offline") ? "asleep" : by;
}

export function stateNow() {
  const d = currentDevice();
  return stateByAge(ageNow(), d && d.poll_interval_s, state.told ? state.told.state : d ? d.state : "");
}

/**
 * Adds samples in order of time, each time once, and keeps 10 min.
 * @param {Sample[]} list @param {Sample[]} more
 */
export function mergeSamples(list, more) {
  const all = new Map(list.map((s) => [s.t, s]));
  for (const s of more) if (s && known(s.t)) all.set(s.t, s);
  const sorted = [...all.values()].sort((a, b) => a.t - b.t);
  const newest = sorted.length ? sorted[sorted.length - 1].t : 0;
  return sorted.filter((s) => s.t > newest - 600);
}

/** The sample in an answer of /v1/realtime. @param {any} r @returns {Sample | null} */
export function sampleOf(r) {
  const t = r && seconds(r.ts);
  if (!known(t)) return null;
  const num = (/** @type {unknown} */ v) => (known(v) ? v : null);
  return { t, pv_w: num(r.pv_power_w), load_w: num(r.load_power_w), battery_w: num(r.battery_power_w),
    grid_w: num(r.grid_power_w), soc_pct: num(r.battery_soc_pct), flows: r.flows && typeof r.flows === "object" ? r.flows : null };
}

/** The first link of the chain that does not work. @param {any} device @returns {any} */
export function brokenHop(device) {
  const chain = (device && device.chain) || [];
  return chain.find((/** @type {any} */ h) => h && h.state === "down") || chain.find((/** @type {any} */ h) => h && h.state === "slow") || null;
}

/** An address of the API for the device or the site on the screen. @param {string} path @param {Record<string, string | undefined>} query @param {string} [id] of another one */
export function forDevice(path, query, id = state.device) {
  let url = `${path}?${id[0] === "!" ? "site" : "device_id"}=${encodeURIComponent(id.replace("!", ""))}`;
  for (const [name, v] of Object.entries(query)) if (v !== undefined) url += `&${name}=${v}`;
  return url;
}

/** What the server knows of a device's edge. @param {any} d @returns {any} */
export function edgeOf(d) {
  return d.chain ? d.chain.find((/** @type {any} */ h) => h && h.hop === "edge") || {} : {};
}

/** The view without an address: of many devices it is the list. */
export function startView() {
  return state.settings.start !== "auto" ? state.settings.start : state.devices.length > 5 && !state.kiosk ? "fleet" : "now";
}

export const VIEWS = ["now", "day", "month", "year", "all"];
const OTHERS = ["device", "settings", "fleet", "login", "admin"];

/** The length of the date of a view, if it is of a period. */
export const SIZES = /** @type {Record<string, number>} */ ({ day: 10, month: 7, year: 4 });

/** @param {string} hash such as #day/2026-11-23?d=roof @param {string} start the view without a hash @returns {Route} */
export function parseRoute(hash, start) {
  const [path, query] = hash.replace(/^#/, "").split("?");
  const [name, date] = path.split("/");
  const view = VIEWS.includes(name) || OTHERS.includes(name) ? name : start;
  const right = date && date.length === SIZES[view] && isDate(date) ? date : "";
  let device = "";
  for (const part of (query || "").split("&")) if (part.startsWith("d=")) device = decodeURIComponent(part.slice(2));
  return { view, date: right, device };
}

/** @param {string} view @param {string} [date] @param {string} [device] */
export function link(view, date, device) {
  const many = state.devices.length > 1;
  const id = device || (many ? state.device : "");
  return `#${view}${date ? `/${date}` : ""}${id && many ? `?d=${encodeURIComponent(id)}` : ""}`;
}

export function loadSettings() {
  try {
    Object.assign(state.settings, JSON.parse(localStorage.getItem("sunspool") || "{}"));
  } catch {
    // Storage is off or was written by somebody else: the defaults hold.
  }
}

/** @param {Partial<typeof state.settings>} change */
export function saveSettings(change) {
  Object.assign(state.settings, change);
  try {
    localStorage.setItem("sunspool", JSON.stringify(state.settings));
  } catch {
    // The setting holds until the page is closed.
  }
  changed();
}
