// A house for tests: what its inverter measures at any instant, with counters that are what the powers add up to.
import { sampleAt } from "./server.mjs";

/** Powers at an instant, W, > 0 charging, > 0 from the grid. Days differ. @param {number} t s */
function powersAt(t) {
  const hour = (t % 86400) / 3600;
  const day = Math.floor(t / 86400);
  const clouds = 0.35 + 0.65 * Math.abs(Math.sin(day * 1.7)) * (0.8 + 0.2 * Math.sin(hour * 9));
  const pv = Math.round(Math.max(0, 6400 * Math.sin(((hour - 5) / 14) * Math.PI)) * clouds);
  const load = Math.round(280 + 900 * Math.abs(Math.sin(hour * 2 + day)) + (hour > 17 && hour < 21 ? 1400 : 0));
  const battery = Math.round(Math.max(-1600, Math.min(2200, pv - load)) * (hour < 4 ? 0.3 : 1));
  return { pv_w: pv, load_w: load, battery_w: battery, grid_w: load + battery - pv, soc_pct: Math.round(50 + 40 * Math.sin(((hour - 11) / 12) * Math.PI)) };
}

/**
 * Samples of [from, to), `every` s apart, without those for which left says so: the counters go on.
 * @param {number} from s @param {number} to @param {number} every @param {(t: number) => boolean} [left]
 */
export function houseSamples(from, to, every, left = () => false) {
  const sums = { pv: 20000, import: 4000, export: 9000, charge: 7000, discharge: 6500 };
  const tenth = (/** @type {number} */ v) => Math.floor(v * 10 + 1e-6) / 10;
  const all = [];
  for (let t = from; t < to; t += every) {
    const p = powersAt(t);
    const kwh = (/** @type {number} */ w) => (Math.max(0, w) * every) / 3.6e6;
    if (!left(t)) {
      all.push(sampleAt(t, p, { pv_total_kwh: tenth(sums.pv), import_total_kwh: tenth(sums.import), export_total_kwh: tenth(sums.export), charge_total_kwh: tenth(sums.charge),
        discharge_total_kwh: tenth(sums.discharge), battery_temp_c: 21.4, values: { mppt1_voltage: 412.6, mppt1_current: 5.1, mppt2_voltage: 398.2, mppt2_current: 4.2,
          phase_a_voltage: 231.4, phase_b_voltage: 230.2, phase_c_voltage: 232.9, inverter_temperature: 38.2, grid_frequency: 50.02 } }));
    }
    sums.pv += kwh(p.pv_w);
    sums.import += kwh(p.grid_w);
    sums.export += kwh(-p.grid_w);
    sums.charge += kwh(p.battery_w);
    sums.discharge += kwh(-p.battery_w);
  }
  return all;
}

/** Reports whether clocks of a zone near Greenwich change on a date. @param {string} zone @param {string} date */
export function clocksChange(zone, date) {
  const offset = (/** @type {number} */ hours) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "longOffset" })
    .formatToParts(Date.parse(`${date}T12:00:00Z`) + hours * 3600e3).find((p) => p.type === "timeZoneName")?.value;
  return offset(-14) !== offset(12);
}

/** What the edge of such a house reports. */
export const slowEdge = (/** @type {number} */ every, /** @type {string} */ tz) => ({ tz, edge: { version: "1.0.0", model: "SH10RT", poll_interval_s: every, spool_count: 0, quarantined: 0, state: "ok" } });

/**
 * A number as it is shown in English: what it is in the unit of the API, and half of its last digit. Null for what is not known.
 * @param {string} text such as "≥ 1,234.5 kWh"
 */
export function shown(text) {
  const clean = text.replace(/[\u00a0\u202f\n]/g, " ").trim();
  if (/^–?$/.test(clean) || /unknown/.test(clean)) return null;
  const found = /^([≥≈] )?(<)? ?(−)?([\d,]+(?:\.(\d+))?) ?(MWh|kWh|kW|W|%)?/.exec(clean);
  if (!found) throw new Error(`no number: ${JSON.stringify(text)}`);
  const unit = { MWh: 1000, kW: 1000 }[found[6]] || 1;
  const v = Number(found[4].replace(/,/g, "")) * unit * (found[3] ? -1 : 1);
  return { v: found[2] ? 0.5 : v, half: found[2] ? 0.5 : (unit / 10 ** (found[5] || "").length) / 2, sign: (found[1] || "").trim() };
}

/**
 * Reports whether what is shown is v, to the last digit that is shown. A share is shown as 100 % only if it is that: of 99.6 % 99 are.
 * @param {string} text @param {number | null | undefined} v
 */
export function isShown(text, v) {
  const s = shown(text);
  if (s?.v === 99 && /%/.test(text) && typeof v === "number" && v > 99 && v < 99.95) return true;
  return s === null ? v === null || v === undefined : typeof v === "number" && Math.abs(s.v - v) <= s.half * 1.000001 + 1e-9;
}
