// Charts in words: one sentence for a screen reader, and the table that says the same as the picture. Pure.
import { t } from "./i18n.js";
import { known, power, clock, dateText, UNKNOWN, NBSP, energyText, powerText, percentText, decimal } from "./format.js";
import { dayColumns } from "./charts.js";

/** @typedef {import("./widgets.js").Table} Table */

/** Index of the greatest number, -1 without one. @param {Array<number | null>} list */
export function greatest(list) {
  let best = -1;
  let top = 0;
  for (const [i, v] of list.entries()) {
    if (!known(v) || (best >= 0 && v <= top)) continue;
    best = i;
    top = v;
  }
  return best;
}

/** @param {any} a answer of /v1/series @param {string} zone @param {string} unit */
export function daySentence(a, zone, unit) {
  const d = dayColumns(a);
  const i = greatest(d.pvMax.some(known) ? d.pvMax : d.pv);
  const j = greatest(d.load);
  if (i < 0 && j < 0) return t("chart_empty");
  const parts = [];
  if (i >= 0) parts.push(t("say_pv_peak", { power: powerText(d.pvMax[i] === null ? d.pv[i] : d.pvMax[i], unit), time: clock(d.x[i], zone) }));
  if (j >= 0) parts.push(t("say_load_peak", { power: powerText(d.load[j], unit), time: clock(d.x[j], zone) }));
  const gaps = (a.gaps || []).length;
  if (gaps) parts.push(t("say_gaps", { n: gaps }));
  return `${t("day_curve")}: ${parts.join(", ")}.`;
}

/** Hour by hour: means of the powers. @param {any} a @param {string} zone @param {string} unit @param {string} file @param {any} parts @returns {Table} */
export function dayTable(a, zone, unit, file, parts) {
  const d = dayColumns(a);
  /** @type {Array<[string, Array<number | null>]>} */
  const shown = [["solar", d.pv], ...(parts.load ? [/** @type {[string, any]} */ (["used", d.load])] : []),
    ...(parts.battery ? [/** @type {[string, any]} */ (["battery", d.battery])] : []), ...(parts.grid ? [/** @type {[string, any]} */ (["grid", d.grid])] : [])];
  const derived = a.quality || {};
  const columnNames = /** @type {Record<string, string>} */ ({ solar: "pv_w", used: "load_w", battery: "battery_w", grid: "grid_w" });
  const head = [t("time"), ...shown.map(([name]) => `${derived[columnNames[name]] === "derived" ? `≈${NBSP}` : ""}${t(name)} (${unit})`),
    ...(parts.battery ? [t("soc")] : [])];
  const per = Math.max(1, Math.round(3600 / d.length));
  const rows = [];
  for (let i = 0; i < d.n; i += per) {
    const mean = (/** @type {Array<number | null>} */ c) => {
      const list = c.slice(i, i + per).filter(known);
      return list.length ? list.reduce((x, y) => x + y, 0) / list.length : null;
    };
    const cells = shown.map(([, c]) => power(mean(c), unit, true).text);
    if (cells.every((c) => c === UNKNOWN)) continue;
    rows.push([clock(a.start + i * d.length, zone), ...cells, ...(parts.battery ? [percentText(mean(d.soc))] : [])]);
  }
  return { head, rows, file };
}

/** @param {any} a answer of /v1/energy @param {string} title */
export function energySentence(a, title) {
  const c = (a && a.columns) || {};
  const total = (a && a.totals) || {};
  const i = greatest(c.pv_kwh || []);
  if (i < 0) return `${title}: ${t("chart_empty")}`;
  const say = [t("say_solar", { energy: energyText(total.pv_kwh) })];
  if (known(total.load_kwh)) say.push(t("say_used", { energy: energyText(total.load_kwh) }));
  say.push(t("say_best", { day: periodText(a.labels[i], "short"), energy: energyText(c.pv_kwh[i]) }));
  return `${title}: ${say.join(", ")}.`;
}

/** The name of a row: an hour, a day, a month or a year. @param {string} label @param {string} style of a day */
export function periodText(label, style) {
  if (label.length === 4) return label;
  if (label.length === 7) return dateText(label, "month");
  if (label.length === 10) return dateText(label, style);
  return label.slice(11, 16) || label;
}

/** @param {any} a answer of /v1/energy @param {string} style of days @param {string} file @param {any} parts @returns {Table} */
export function energyTable(a, style, file, parts) {
  const c = (a && a.columns) || {};
  const names = [["solar", "pv_kwh", "coverage"], ...(parts.load ? [["used", "load_kwh", "load_coverage"]] : []),
    ...(parts.grid ? [["exported", "export_kwh", "grid_coverage"], ["imported", "import_kwh", "grid_coverage"]] : []),
    ...(parts.battery ? [["charged", "charge_kwh", "battery_coverage"], ["discharged", "discharge_kwh", "battery_coverage"]] : [])];
  const share = parts.load && (c.self_sufficiency_pct || []).some(known);
  const money = (c.saved || []).some(known);
  const head = [t("time"), ...names.map(([n]) => t(n)), ...(share ? [t("self_sufficiency")] : []), ...(money ? [t("saved")] : [])];
  const rows = ((a && a.labels) || []).map((/** @type {string} */ label, /** @type {number} */ i) => {
    const cells = names.map(([, name, coverage]) => {
      const v = (c[name] || [])[i];
      const part = (c[coverage] || [])[i];
      return (known(v) && known(part) && part < 0.98 ? `≥${NBSP}` : "") + energyText(v);
    });
    return [periodText(label, style), ...cells, ...(share ? [percentText(c.self_sufficiency_pct[i])] : []),
      ...(money ? [known(c.saved[i]) ? decimal(c.saved[i], 2) : UNKNOWN] : [])];
  });
  return { head, rows, file };
}
