// All time: a bar per year, the sum of the sun, and the records.
import { html, nothing, icon } from "./dom.js";
import { t } from "./i18n.js";
import { state, currentDevice, deviceZone, seconds, link, forDevice } from "./store.js";
import { ask } from "./api.js";
import { known, UNKNOWN, dateText, moment, energyText, powerText } from "./format.js";
import { localDate } from "./dates.js";
import { card, whenKnown, tableFor, figure, columns, chartHeight, roomForStrip } from "./widgets.js";
import { barsPlot, column, barAxes, energyRange } from "./charts.js";
import { color } from "./plot.js";
import { energySentence, energyTable, greatest } from "./words.js";
import { energyKpis, sourceBar, moneyLine, partsOf, todayDate } from "./now.js";
import { barLegend } from "./periods.js";

/**
 * The longest run of days in a row of at least `least`. Pure.
 * @param {string[]} labels @param {any[]} list @param {number} least @returns {{ days: number, from: string, to: string } | null}
 */
export function longestRun(labels, list, least) {
  let best = null;
  let start = -1;
  for (let i = 0; i <= labels.length; i++) {
    const good = i < labels.length && known(list[i]) && list[i] >= least;
    if (good && start < 0) start = i;
    if (!good && start >= 0) {
      if (!best || i - start > best.days) best = { days: i - start, from: labels[start], to: labels[i - 1] };
      start = -1;
    }
  }
  return best;
}

/** Sums up; what is not known adds nothing, and is not a sum. Pure. @param {any[]} list */
export function runningSum(list) {
  let sum = /** @type {number | null} */ (null);
  return list.map((v) => (sum = known(v) ? (sum || 0) + v : sum));
}

export function allView() {
  const d = currentDevice();
  const zone = deviceZone();
  const parts = partsOf(d);
  const first = seconds(d && d.first_sample);
  const from = known(first) ? localDate(first, zone) : todayDate();
  const years = ask(forDevice("/v1/energy", { resolution: "year", from, to: todayDate() }), 900);
  const months = ask(forDevice("/v1/energy", { resolution: "month", from, to: todayDate() }), 900);
  const days = ask(forDevice("/v1/energy", { resolution: "day", from, to: todayDate() }), 900);
  return html`<div class="navigator"><h2 class="period">${t("totals_since", { date: dateText(from, "full") })}</h2></div>${columns([
    ["full", () => card("totals", t("totals"), whenKnown(days, (a) => html`${energyKpis(a.totals || {}, parts)}${sourceBar(a.totals || {}, parts)}${roomForStrip() ? moneyLine(a.totals || {}, a.source) : nothing}`, "today"))],
    [state.kiosk ? "full" : "left", () => yearsCard(years, parts)],
    ["right", () => recordsCard(months, days, parts)],
    ["left", () => sumCard(months)],
  ])}`;
}

/** @param {import("./api.js").Answer} years @param {ReturnType<typeof partsOf>} parts */
function yearsCard(years, parts) {
  return card("bars", t("years"), whenKnown(years, (a) => {
    const labels = a.labels || [];
    return html`${figure(barsPlot(a.columns || {}, labels, { key: "years", height: chartHeight(240), parts, text: (i) => labels[i] || UNKNOWN, long: (i) => labels[i] || UNKNOWN,
      tap: (i) => location.assign(link("year", labels[i])) }), () => energySentence(a, t("years")), "tappable")}${barLegend(parts, false, false)}`;
  }, "bars"), { unit: "kWh", table: tableFor(years, (a) => energyTable(a, "short", "sunspool-years", parts)) });
}

/** @param {import("./api.js").Answer} months */
function sumCard(months) {
  return card("sum", t("cumulative"), whenKnown(months, (a) => {
    const labels = a.labels || [];
    const sums = runningSum((a.columns || {}).pv_kwh || []);
    const last = sums.length ? sums[sums.length - 1] : null;
    return figure(areaPlot(sums, labels, { key: "sum", of: a, height: 190, text: (i) => dateText(labels[i], labels.length > 18 ? "monthYear" : "monthShort"),
      long: (i) => dateText(labels[i], "month") }), () => `${t("cumulative")}: ${energyText(last)}`);
  }, "bars"), { unit: "kWh", table: tableFor(months, sumTable) });
}

/** A line that only rises. @param {import("./charts.js").Column} list @param {string[]} labels @param {{ key: string, height: number, of: any, text: (i: number) => string, long: (i: number) => string }} o @returns {import("./plot.js").Plot} */
function areaPlot(list, labels, o) {
  const n = labels.length;
  const sums = column(list, n);
  return { data: [labels.map((_, i) => i), sums], of: [o.of], height: o.height, key: `${o.key} ${n}`, tip: (i) => [[o.long(i), ""], [t("solar"), energyText(sums[i]), "solar"]],
    options: () => ({ padding: [10, 14, 0, 0], scales: { x: { time: false, range: [-0.2, Math.max(0.8, n - 0.8)] }, y: { range: energyRange } },
      axes: barAxes(labels, o.text),
      series: [{}, { stroke: color("solar-ink"), width: 2, fill: color("soft"), points: { show: n < 2 } }] }) };
}

/** @param {any} a answer of /v1/energy by month @returns {import("./table.js").Table} */
function sumTable(a) {
  const pv = (a.columns || {}).pv_kwh || [];
  const sums = runningSum(pv);
  return { file: "sunspool-sum", fields: ["solar", "cumulative"].map((name) => ({ name: t(name), unit: "kWh", text: energyText })),
    rows: a.labels.map((/** @type {string} */ label, /** @type {number} */ i) => ({ label: dateText(label, "month"), local: label, at: (a.from || [])[i], v: [pv[i], sums[i]] })) };
}

/** @param {import("./api.js").Answer} months @param {import("./api.js").Answer} days @param {ReturnType<typeof partsOf>} parts */
function recordsCard(months, days, parts) {
  const row = (/** @type {string} */ name, /** @type {any} */ value, /** @type {any} */ at) => html`<div><dt>${t(name)}</dt><dd><b>${value}</b><small>${at}</small></dd></div>`;
  // Both, so that a row that comes later moves nothing.
  const body = whenKnown(days.data && !months.error ? months : days, () => {
    const a = days.data;
    const c = a.columns || {};
    const day = greatest(c.pv_kwh || []);
    const peak = greatest(c.pv_peak_w || []);
    const bought = greatest(c.import_peak15_w || []);
    const run = parts.load ? longestRun(a.labels || [], c.self_sufficiency_pct || [], 95) : null;
    const m = (months.data && months.data.columns) || {};
    const month = greatest(m.pv_kwh || []);
    const to = (/** @type {string} */ date) => html`<a href=${link("day", date)}>${dateText(date, "full")}</a>`;
    if (day < 0) return html`<p class="note">${t("chart_empty")}</p>`;
    return html`<dl class="records">${row("best_day", energyText(c.pv_kwh[day]), to(a.labels[day]))}
      ${month >= 0 ? row("best_month", energyText(m.pv_kwh[month]), html`<a href=${link("month", months.data.labels[month])}>${dateText(months.data.labels[month], "month")}</a>`) : nothing}
      ${peak >= 0 ? row("max_pv", powerText(c.pv_peak_w[peak], "kW"), known((c.pv_peak_at || [])[peak]) ? moment(c.pv_peak_at[peak], deviceZone(), true) : to(a.labels[peak])) : nothing}
      ${run ? row("longest_run", t("n_days", { n: run.days }), html`${to(run.from)} – ${to(run.to)}`) : nothing}
      ${bought >= 0 && parts.grid ? row("max_import15", powerText(c.import_peak15_w[bought], "kW"), known((c.import_peak15_at || [])[bought])
        ? moment(c.import_peak15_at[bought], deviceZone(), true) : to(a.labels[bought])) : nothing}</dl>
    <div class="actions"><a class="button quiet-button" download href=${forDevice("/v1/export.csv", { from: a.labels[0], to: todayDate(), resolution: "1d" }).slice(1)}>${icon("save")} CSV</a></div>`;
  }, "bars");
  return card("records", t("records"), body);
}
