// Charts in words: one sentence for a screen reader, and the table that says the same as the picture. Pure.
import { t } from "./i18n.js";
import { known, power, clock, clockSeconds, dateText, UNKNOWN, NBSP, energyText, powerText, percentText, decimal } from "./format.js";
import { dayColumns, stringColumn } from "./charts.js";

/** @typedef {import("./table.js").Table} Table */

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

/** "Solar at most 4.2 kW at 13:05", of a column; nothing if it has no value. @param {string} name @param {any[]} list @param {number[]} x @param {string} zone @param {(v: any) => string} text */
function peak(name, list, x, zone, text) {
  const i = greatest(list);
  return i < 0 ? [] : [t("say_peak", { name, value: text(list[i]), time: clock(x[i], zone) })];
}

/** @param {string} title @param {string[]} parts */
export function sentence(title, parts) {
  return `${title}: ${parts.length ? `${parts.join(", ")}.` : t("chart_empty")}`;
}

/** @param {any} a answer of /v1/series @param {string} zone @param {string} unit @param {string} [title] @param {number[]} [inputs] of the inverter, if these are drawn */
export function daySentence(a, zone, unit, title = t("day_curve"), inputs) {
  const d = dayColumns(a);
  const watts = (/** @type {any} */ v) => powerText(v, unit);
  const gaps = (a.gaps || []).length;
  return sentence(title, [...(inputs ? inputs.flatMap((n) => peak(stringName(n), stringColumn(a, n), d.x, zone, watts))
    : [...peak(t("solar"), d.pvMax.some(known) ? d.pvMax : d.pv, d.x, zone, watts), ...peak(t("home"), d.load, d.x, zone, watts)]), ...(gaps ? [t("say_gaps", { n: gaps })] : [])]);
}

/** @param {any} a answer of /v1/series @param {string} zone */
export function socSentence(a, zone) {
  const d = dayColumns(a);
  return sentence(t("battery"), peak(t("soc"), d.soc, d.x, zone, percentText));
}

/** Means of the powers, of each hour, or of each so many seconds. @param {any} a @param {string} zone @param {string} unit @param {string} file @param {any} parts @param {number} [every] @param {number[]} [inputs] @returns {Table} */
export function dayTable(a, zone, unit, file, parts, every = 3600, inputs) {
  const d = dayColumns(a);
  const watts = (/** @type {string} */ name, /** @type {string} */ key, /** @type {any[]} */ c) => ({ name, unit: "W", c,
    head: `${(a.quality || {})[key] === "derived" ? `≈${NBSP}` : ""}${name} (${unit})`, text: (/** @type {any} */ v) => power(v, unit, true).text });
  const fields = inputs ? inputs.map((n) => watts(stringName(n), `mppt${n}_w`, stringColumn(a, n)))
    : [...(parts.only ? [] : [watts(t("solar"), "pv_w", d.pv)]), ...(parts.load ? [watts(t("used"), "load_w", d.load)] : []),
      ...(parts.battery ? [watts(t("battery"), "battery_w", d.battery)] : []), ...(parts.grid ? [watts(t("grid"), "grid_w", d.grid)] : []),
      ...(parts.battery ? [{ name: t("soc"), unit: "%", c: d.soc, text: percentText }] : [])];
  const per = Math.max(1, Math.round(every / d.length));
  const rows = [];
  for (let i = 0; i < d.n; i += per) {
    const v = fields.map(({ c }) => {
      const list = c.slice(i, i + per).filter(known);
      return list.length ? Math.round(list.reduce((x, y) => x + y, 0) / list.length * 10) / 10 : null;
    });
    const at = Array.isArray(a.t) ? d.x[i] : a.start + i * d.length;
    if (v.some(known)) rows.push({ label: Array.isArray(a.t) ? clockSeconds(at, zone) : clock(at, zone), at, v });
  }
  return { fields, rows, file };
}

/** @param {number} n */
export function stringName(n) {
  return `${t("string")} ${n}`;
}

/** @param {any} a answer of /v1/energy @param {string} title */
export function energySentence(a, title) {
  const c = (a && a.columns) || {};
  const total = (a && a.totals) || {};
  const i = greatest(c.pv_kwh || []);
  if (i < 0) return sentence(title, []);
  return sentence(title, [t("say_solar", { energy: energyText(total.pv_kwh) }), ...(known(total.load_kwh) ? [t("say_used", { energy: energyText(total.load_kwh) })] : []),
    t("say_best", { day: periodText(a.labels[i], "short"), energy: energyText(c.pv_kwh[i]) })]);
}

/** The name of a row: an hour, a day, a month or a year. @param {string} label @param {string} style of a day */
export function periodText(label, style) {
  if (label.length === 4) return label;
  if (label.length === 7) return dateText(label, "month");
  if (label.length === 10) return dateText(label, style);
  return label.slice(11, 16) || label;
}

/** "≥" before what was saved while not all was measured, "≈" before a cost of which a part is an estimate. @param {string} key @param {(name: string) => any} of its row @param {any} source */
export function moneySign(key, of, source) {
  if (key === "fee") return "";
  if (key !== "cost" && key !== "earned") return of("load_coverage") < 0.98 ? `≥${NBSP}` : "";
  return of("spread_cost") > 0.05 * Math.abs(of("cost")) || ((source || {}).import_kwh !== "counter" && of("grid_coverage") < 0.98) ? `≈${NBSP}` : "";
}

/** @param {any} a answer of /v1/energy @param {string} style of days @param {string} file @param {any} parts @param {string} [only] one of its columns @returns {Table} */
export function energyTable(a, style, file, parts, only) {
  const c = (a && a.columns) || {};
  const kwh = (/** @type {string} */ key, /** @type {string} */ name, /** @type {string} */ coverage) => ({ key, name: t(key), unit: "kWh", c: c[name] || [],
    text: (/** @type {any} */ v, /** @type {number} */ i) => (known(v) && (c[coverage] || [])[i] < 0.98 ? `≥${NBSP}` : "") + energyText(v) });
  const priced = (/** @type {string} */ key, /** @type {string} */ name, /** @type {string} */ unit) => ((c[name] || []).some(known) ? [{ key, name: t(key), unit, head: `${t(key)} (${unit})`, c: c[name],
    text: (/** @type {any} */ v, /** @type {number} */ i) => (known(v) ? moneySign(key, (n) => (c[n] || [])[i], a.source) + decimal(v, 2) : UNKNOWN) }] : []);
  const share = (c.self_sufficiency_pct || []).some(known);
  const fields = [kwh("solar", "pv_kwh", "coverage"), ...(parts.load ? [kwh("used", "load_kwh", "load_coverage")] : []),
    ...(parts.grid ? [kwh("exported", "export_kwh", "grid_coverage"), kwh("imported", "import_kwh", "grid_coverage")] : []),
    ...(parts.battery ? [kwh("charged", "charge_kwh", "battery_coverage"), kwh("discharged", "discharge_kwh", "battery_coverage")] : []),
    ...(parts.load && share ? [{ key: "self_sufficiency", name: t("self_sufficiency"), unit: "%", c: c.self_sufficiency_pct, text: percentText }] : []),
    ...priced("cost", "cost", parts.currency), ...priced("saved", "saved", parts.currency), ...priced("co2_avoided", "co2_avoided_kg", "kg"),
  ].filter((f) => !only || f.key === only);
  // How much was measured is in the file only: on the screen the numbers have a sign for it.
  const whole = { name: t("coverage"), unit: "%", c: (c.coverage || []).map((/** @type {any} */ v) => (known(v) ? Math.round(v * 1000) / 10 : null)) };
  const rows = ((a && a.labels) || []).map((/** @type {string} */ label, /** @type {number} */ i) => ({ label: periodText(label, style), local: label, at: (a.from || [])[i],
    v: [...fields, whole].map((f) => f.c[i]) }));
  return { fields: [...fields, whole], rows, file };
}
