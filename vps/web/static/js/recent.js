// The last 10 min, of before the page was opened.
import { state, changed, mergeSamples, newestSample, forDevice } from "./store.js";
import { get } from "./api.js";

const RECENT = ["pv_w", "load_w", "battery_w", "grid_w", "soc_pct"];

/** The samples in an answer of /v1/series: a site has means of minutes. Pure. @param {any} a @returns {import("./store.js").Sample[]} */
export function samplesIn(a) {
  const c = (a && a.columns) || {};
  const times = (a && a.t) || (c.pv_w || []).map((/** @type {any} */ _, /** @type {number} */ i) => a.start + 60 * i);
  return times.map((/** @type {number} */ t, /** @type {number} */ i) => ({ t, ...Object.fromEntries(RECENT.map((name) => [name, c[name] ? c[name][i] : null])), flows: null }));
}

/** Once, for the chart of them. */
async function fillSamples() {
  const [newest, id] = [newestSample(), state.device];
  if (!newest) return;
  const [from, to] = [newest.t - 600, newest.t + 1].map((s) => `${new Date(s * 1000).toISOString().slice(0, 19)}Z`);
  const a = await get(forDevice("/v1/series", { from, to, resolution: id[0] === "!" ? "1m" : "raw", columns: RECENT.join() }));
  if (id === state.device) state.samples = mergeSamples(samplesIn(a), state.samples);
  changed();
}

/** Fills them when their chart is opened, or is open already. */
export function watchRecent() {
  const look = () => state.tables.has("live-open") && fillSamples().catch(() => {});
  addEventListener("live", look);
  void look();
}
