// The charts: pure functions from an answer to what sun-plot draws. Above zero is where the home's energy came from, below
// zero where the rest of the sun's went. Gaps stay gaps.
import { axis, color, barPaths } from "./plot.js";
import { t } from "./i18n.js";
import { offsetAt, hourTicks } from "./dates.js";
import { known, clock, clockSeconds, tick, energyText, powerText, percentText } from "./format.js";

/** @typedef {Array<number | null>} Column */

/** @param {any} v @param {number} n @returns {Column} */
export function column(v, n) {
  const list = Array.isArray(v) ? v : [];
  return Array.from({ length: n }, (_, i) => (known(list[i]) ? list[i] : null));
}

/** Adds columns; null where the first is not known. @param {Column} first @param {Column[]} more @returns {Column} */
export function stack(first, ...more) {
  return first.map((v, i) => (v === null ? null : more.reduce((sum, c) => sum + (c[i] || 0), v)));
}

/** @param {Column} c @param {number} sign keeps what has this sign, as a positive number @returns {Column} */
export function part(c, sign) {
  return c.map((v) => (v === null ? null : Math.max(0, v * sign)));
}

/** Nothing is drawn along zero: only the zeros beside a value stay. @param {Column} c @returns {Column} */
function sparse(c) {
  return c.map((v, i) => (v === 0 && !c[i - 1] && !c[i + 1] ? null : v));
}

/** @param {Column} c @returns {Column} */
function below(c) {
  return c.map((v) => (v === null ? null : -v));
}

/** @type {WeakMap<any, ReturnType<typeof columnsOf>>} */
const columnsOfAnswers = new WeakMap();

/** The columns of a day, whatever is absent; made once of an answer. @param {any} a answer of /v1/series */
export function dayColumns(a) {
  const made = columnsOfAnswers.get(a) || columnsOf(a);
  if (a && typeof a === "object") columnsOfAnswers.set(a, made);
  return made;
}

/** @param {any} a */
function columnsOf(a) {
  const c = (a && a.columns) || {};
  const times = a && Array.isArray(a.t) ? a.t : null;
  const n = times ? times.length : (a && known(a.start) && a.count) || 0;
  const length = (a && a.resolution_s) || 300;
  const x = Array.from({ length: n }, (_, i) => (times ? times[i] : a.start + i * length + length / 2));
  const pv = column(c.pv_w, n);
  const flows = ["solar_home_w", "battery_home_w", "grid_home_w"].map((name) => column(c[name], n));
  const whole = flows[0].some((v) => v !== null);
  const battery = column(c.battery_w, n);
  const grid = column(c.grid_w, n);
  return { x, n, length, pv, pvMax: column(c.pv_max_w, n), load: column(c.load_w, n), soc: column(c.soc_pct, n), battery, grid,
    solarHome: whole ? flows[0] : pv, batteryHome: flows[1], gridHome: flows[2],
    charge: whole ? part(battery, 1) : column(null, n), exported: whole ? part(grid, -1) : column(null, n), whole };
}

/** The power of a string of an answer of /v1/series. @param {any} a @param {number} n */
export function stringColumn(a, n) {
  return column(((a && a.columns) || {})[`mppt${n}_w`], (a && a.count) || 0);
}

/** A colour of each string; a second round of them is dashed. */
const TONES = ["solar", "battery", "export", "import", "home", "charge"];

/** @param {number[]} inputs @param {(n: number) => string} name */
export function stringLegend(inputs, name) {
  return inputs.map((n, i) => [`${TONES[i % 6]} line`, name(n)]);
}

/** @param {any} a @returns {[number, number]} first and last instant of an answer */
export function spanOf(a) {
  const [from, to] = [a.from, a.to].map((text) => Date.parse(text || "") / 1000);
  const start = known(a.start) ? a.start : known(from) ? from : (known(to) ? to : 86400) - 86400;
  const some = (/** @type {any} */ v, /** @type {number} */ usual) => (known(v) && v > 0 ? v : usual);
  return [start, known(to) ? to : start + some(a.count, 288) * some(a.resolution_s, 300)];
}

/** @param {Column[]} columns */
export function unitOf(columns, mode = "auto") {
  if (mode !== "auto") return mode;
  return columns.some((c) => c.some((v) => v !== null && Math.abs(v) >= 1000)) ? "kW" : "W";
}

/** A hatched band over [from, to] of the x axis. @param {any} u @param {number} from @param {number} to */
export function hatch(u, from, to) {
  const left = Math.max(u.bbox.left, u.valToPos(from, "x", true));
  const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(to, "x", true));
  if (!(right > left)) return;
  const { ctx } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.clip();
  ctx.fillStyle = color("hatch-back");
  ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.strokeStyle = color("hatch");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const gap = 6 * devicePixelRatio;
  for (let x = left - u.bbox.height; x < right; x += gap) {
    ctx.moveTo(x, u.bbox.top + u.bbox.height);
    ctx.lineTo(x + u.bbox.height, u.bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

/** @param {any} u @param {number} at */
function nowLine(u, at) {
  if (at <= u.scales.x.min || at >= u.scales.x.max) return;
  const x = Math.round(u.valToPos(at, "x", true));
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = color("muted");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, u.bbox.top);
  ctx.lineTo(x, u.bbox.top + u.bbox.height);
  ctx.stroke();
  ctx.restore();
}

/** @param {number} from @param {number} to @param {number} every s */
function minutes(from, to, every) {
  const all = [];
  for (let s = Math.ceil(from / every) * every; s <= to; s += every) all.push(s);
  return all;
}

/** Between labels of less than a day, s. */
const LABELS_S = [120, 300, 900, 1800, 3600, 7200, 10800];

/** The x axis of a span of hours. @param {any} a @param {any} more */
function hours(a, more) {
  const offsets = a.tz && a.tz.offsets;
  const label = (/** @type {number} */ s, /** @type {number} */ end) => {
    const local = (((s + offsetAt(offsets, s)) % 86400) + 86400) % 86400;
    if (s === end && local === 0) return "24:00";
    return `${String(Math.floor(local / 3600)).padStart(2, "0")}:${String(Math.floor((local % 3600) / 60)).padStart(2, "0")}`;
  };
  const [start, end] = spanOf(a);
  return axis({
    splits: (/** @type {any} */ u) => {
      const shown = u.scales.x.max - u.scales.x.min;
      const every = shown > 80000 ? (u.width < 520 ? 6 : u.width < 700 ? 4 : 3) * Math.max(1, Math.round(shown / 90000))
        : (LABELS_S.find((s) => shown / s < u.width / 56) || 21600) / 3600;
      if (every < 1) return minutes(u.scales.x.min, u.scales.x.max, every * 3600);
      return hourTicks(start, end, offsets, every).map(([s]) => s).filter((s) => s >= u.scales.x.min && s <= u.scales.x.max);
    },
    values: (/** @type {any} */ _, /** @type {number[]} */ list) => list.map((s) => label(s, end)),
    size: 26, gap: 4, ...more });
}

const PADDING = [10, 20, 0, 0];

/** @param {string} unit @param {boolean} signed */
function powerAxis(unit, signed) {
  return axis({ size: 40, values: (/** @type {any} */ _, /** @type {number[]} */ list) =>
    list.map((v) => (signed && v < 0 ? "−" : "") + tick(unit === "kW" ? v / 1000 : v)) });
}

/** Never an empty axis: at least 500 W, and zero. @param {any} _ @param {number | null} low @param {number | null} high */
function powerRange(_, low, high) {
  const top = Math.max(0, high || 0);
  const bottom = Math.min(0, low || 0);
  const room = (top - bottom) * 0.04;
  return top - bottom < 500 ? [Math.min(0, bottom - room), Math.max(500 + bottom, top + room)] : [bottom && bottom - room, top + room];
}

/** Which series a day has, in the order of the legend. @param {ReturnType<typeof dayColumns>} d @param {any} parts */
export function dayLegend(d, parts) {
  if (!d.whole) return [["solar", t("solar")], ...(d.load.some((v) => v !== null) ? [["home line", t("home")]] : [])];
  return [["solar", t("solar_used")], ...(parts.battery ? [["battery", t("from_battery")]] : []), ["import", t("from_grid")],
    ...(parts.battery ? [["charge", t("to_battery")]] : []), ["export", t("to_grid")], ["home line", t("home")]];
}

/** The same of lines, in the colour of each. @param {any} parts */
export function lineLegend(parts) {
  return [["solar line", t("solar")], ...(parts.battery ? [["battery line", t("battery")]] : []), ...(parts.grid ? [["import line", t("grid")]] : []),
    ...(parts.load ? [["home line", t("home")]] : [])];
}

/**
 * The mirrored curve of a day.
 * @param {any} a answer of /v1/series @param {{ parts: any, unit: string, now: number, zone: string, key: string,
 *   height: number, mode?: string, inputs?: number[] }} o inputs: the strings that are drawn, in place of all else
 * @returns {import("./plot.js").Plot}
 */
export function dayPlot(a, o) {
  const d = dayColumns(a);
  const strings = (o.inputs || []).map((n) => stringColumn(a, n));
  const unit = unitOf(o.inputs ? strings : [d.load, d.pv, d.battery, d.grid], o.unit);
  const lines = o.mode === "lines";
  const up2 = stack(d.solarHome, d.batteryHome);
  const up3 = stack(up2, d.gridHome);
  const data = o.inputs ? [d.x, ...strings] : lines ? [d.x, d.pv, d.battery, d.grid, d.load]
    : [d.x, up3, up2, sparse(d.solarHome), below(stack(d.charge, d.exported)), below(d.charge), d.load];
  const [start, end] = spanOf(a);
  const area = (/** @type {string} */ name, /** @type {string} */ edge) => ({ fill: color(name), stroke: edge ? color(edge) : "transparent",
    width: edge ? 1.5 : 0, points: { show: false } });
  const stroke = (/** @type {string} */ name) => ({ stroke: color(name), width: 2, points: { show: false } });
  const tip = (/** @type {number} */ i) => {
    const say = (/** @type {string} */ name, /** @type {Column} */ c, /** @type {string} */ tone) =>
      c[i] !== null && (Math.abs(c[i] || 0) >= 1 || tone === "home") ? [[name, powerText(c[i], unit), tone]] : [];
    const from = a.start + i * d.length;
    return [[Array.isArray(a.t) ? clockSeconds(d.x[i], o.zone) : `${clock(from, o.zone)}–${clock(from + d.length, o.zone)}`, ""],
      ...say(t("solar"), d.pv, "solar"), ...say(t("from_battery"), d.batteryHome, "battery"), ...say(t("from_grid"), d.gridHome, "import"),
      ...say(t("to_battery"), d.charge, "charge"), ...say(t("to_grid"), d.exported, "export"), ...say(t("home"), d.load, "home"),
      ...(d.soc[i] !== null ? [[t("soc"), percentText(d.soc[i]), "battery"]] : []),
      ...strings.flatMap((c, n) => say(`${t("string")} ${(o.inputs || [])[n]}`, c, TONES[n % 6]))].slice(0, data.every((c) => c[i] === null || c === d.x) ? 0 : 14);
  };
  return { data, of: [a.columns, Math.floor(o.now / 60)], height: o.height, key: `${o.key} ${unit} ${o.mode || ""}`, group: o.key, tip,
    options: () => ({ padding: PADDING, scales: { x: { time: false, range: [start, end] },
      y: { range: powerRange } },
    axes: [hours(a, {}), powerAxis(unit, lines)],
    series: o.inputs ? [{}, ...strings.map((_, n) => ({ ...stroke(TONES[n % 6]), dash: n > 5 ? [6, 4] : undefined }))] : lines ? [{}, stroke("solar"), stroke("battery"), stroke("import"), stroke("home")]
      : [{}, area("import", ""), area("battery", ""), area("solar", "solar-ink"), area("export", ""), area("charge", ""), stroke("home")],
    hooks: { drawAxes: [(/** @type {any} */ u) => {
      for (const g of a.gaps || []) if (g && known(g.from) && known(g.to)) hatch(u, g.from, Math.min(g.to, o.now));
    }], draw: [(/** @type {any} */ u) => nowLine(u, o.now)] } }) };
}

/** The state of charge below it. @param {any} a @param {{ key: string, now: number }} o @returns {import("./plot.js").Plot} */
export function socPlot(a, o) {
  const d = dayColumns(a);
  const [start, end] = spanOf(a);
  return { data: [d.x, d.soc], of: [a.columns], height: 72, key: `soc ${o.key}`, group: o.key, tip: () => [],
    options: () => ({ padding: [8, PADDING[1], 8, 0], scales: { x: { time: false, range: [start, end] }, y: { range: [0, 100] } },
      axes: [hours(a, { show: false, size: 0 }), axis({ size: 40, splits: () => [0, 50, 100],
        values: () => ["0", "50", "100%"] })],
      series: [{}, { stroke: color("battery-ink"), width: 2, fill: color("soc-fill"), points: { show: false } }] }) };
}

/**
 * Mirrored bars, one per row of an answer of /v1/energy.
 * @param {any} rows columns of kWh @param {string[]} labels @param {{ key: string, height: number, text: (i: number) => string, long: (i: number) => string,
 *   tap?: (i: number) => void, ghost?: any, of?: any, average?: boolean, gaps?: boolean, parts: any }} o
 * @returns {import("./plot.js").Plot}
 */
export function barsPlot(rows, labels, o) {
  const n = labels.length;
  const c = (/** @type {string} */ name, from = rows) => column(from && from[name], n);
  const x = labels.map((_, i) => i);
  const flows = c("solar_home_kwh");
  const solar = flows.some((v) => v !== null) ? flows : c("pv_kwh");
  const up2 = stack(solar, c("battery_home_kwh"));
  const up3 = stack(up2, c("grid_home_kwh"));
  const coverage = c("coverage");
  const data = [x, up3, up2, solar, below(stack(c("export_kwh").map((v, i) => (v === null && c("charge_kwh")[i] !== null ? 0 : v)), c("charge_kwh"))),
    below(c("charge_kwh"))];
  if (o.ghost) data.push(c("load_kwh", o.ghost), below(stack(c("export_kwh", o.ghost), c("charge_kwh", o.ghost))));
  const bars = () => barPaths({ size: [0.66, 56], gap: 0 });
  const bar = (/** @type {string} */ name) => ({ fill: color(name), stroke: "transparent", width: 0, paths: bars(), points: { show: false } });
  const ghost = () => ({ stroke: color("ghost"), width: 1.5, fill: "transparent", paths: bars(), points: { show: false } });
  const load = c("load_kwh").filter(known);
  const mean = load.length ? load.reduce((a, b) => a + b, 0) / load.length : 0;
  const tip = (/** @type {number} */ i) => {
    const say = (/** @type {string} */ key, /** @type {string} */ name, /** @type {string} */ tone) => {
      const v = c(name)[i];
      return v === null ? [] : [[t(key), energyText(v), tone]];
    };
    return [[o.long(i), ""], ...say("solar", "pv_kwh", "solar"), ...say("used", "load_kwh", "home"), ...say("imported", "import_kwh", "import"),
      ...say("exported", "export_kwh", "export"), ...(o.parts.battery ? say("charged", "charge_kwh", "charge") : []),
      ...(o.ghost && known(c("pv_kwh", o.ghost)[i]) ? [[t("solar_last_year"), energyText(c("pv_kwh", o.ghost)[i])]] : [])];
  };
  return { data, of: [o.of || rows], height: o.height, key: `${o.key} ${n} ${Boolean(o.ghost)}`, tip, tap: o.tap,
    options: () => ({ padding: [10, 16, 0, 0],
      scales: { x: { time: false, range: [-0.6, n - 0.4] }, y: { range: energyRange } },
      axes: barAxes(labels, o.text),
      series: [{}, bar("import"), bar("battery"), bar("solar"), bar("export"), bar("charge"), ...(o.ghost ? [ghost(), ghost()] : [])],
      hooks: { drawAxes: [(/** @type {any} */ u) => coverage.forEach((v, i) => o.gaps && v !== null && v < 0.98 && hatch(u, i - 0.45, i + 0.45))],
        draw: o.average && mean > 0 ? [(/** @type {any} */ u) => averageLine(u, mean)] : [] } }) };
}

/** @param {string[]} labels @param {(i: number) => string} text @param {any} [y] another axis of values */
export function barAxes(labels, text, y) {
  return [axis({ size: 26, gap: 4, grid: { show: false }, splits: (/** @type {any} */ u) => ticks(labels.length, (u.width - 50) / longest(labels, text)),
    values: (/** @type {any} */ _, /** @type {number[]} */ list) => list.map(text) }),
  axis({ size: 48, values: (/** @type {any} */ _, /** @type {number[]} */ list) => list.map(energyTick), ...y })];
}

/** @param {any} u @param {number} at */
function averageLine(u, at) {
  const y = Math.round(u.valToPos(at, "y", true));
  u.ctx.save();
  u.ctx.strokeStyle = color("home");
  u.ctx.lineWidth = 1.5 * devicePixelRatio;
  u.ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, y);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
  u.ctx.stroke();
  u.ctx.restore();
}

/** @param {any} _ @param {number | null} low @param {number | null} high */
export function energyRange(_, low, high) {
  const top = Math.max(0, high || 0);
  const bottom = Math.min(0, low || 0);
  const room = Math.max(0.5, top - bottom) * 0.05;
  return [bottom && bottom - room, Math.max(1 + bottom, top) + room];
}

/** @param {number} v */
function energyTick(v) {
  return Math.abs(v) >= 10000 ? `${tick(v / 1000)}k` : tick(v);
}

/** Pixels that the longest label takes; the last one has room beside it. @param {string[]} labels @param {(i: number) => string} text */
function longest(labels, text) {
  return 14 + 7 * Math.max(1, ...labels.slice(0, -1).map((_, i) => text(i).length));
}

/** Which of n bars have a label, if `room` labels fit; the last one always has. @param {number} n @param {number} room */
export function ticks(n, room) {
  const every = Math.max(1, Math.ceil(n / Math.max(1, Math.floor(room))));
  return Array.from({ length: n }, (_, i) => i).filter((i) => (n - 1 - i) % every === 0);
}
