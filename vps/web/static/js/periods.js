// Day, month and year: where they begin and end is the device's calendar; what is not over is compared with the same part.
import { html, nothing, icon, download } from "./dom.js";
import { t } from "./i18n.js";
import { state, serverNow, currentDevice, deviceZone, link, saveSettings, forDevice } from "./store.js";
import { ask } from "./api.js";
import { known, clock, dateText, NBSP, energyText, powerText, percentText } from "./format.js";
import { addPeriod, isDate } from "./dates.js";
import { bestSentence, firstDay, lastDay } from "./calendar.js";
import { card, whenKnown, tableFor, legend, figure, columns, chartHeight, roomForStrip } from "./widgets.js";
import { chosen, switcher } from "./choice.js";
import { csvButton } from "./table.js";
import { dayPlot, socPlot, spanOf, barsPlot, dayColumns, dayLegend, lineLegend, stringLegend, stringColumn, unitOf, column, barAxes } from "./charts.js";
import { color, barPaths } from "./plot.js";
import { daySentence, socSentence, dayTable, energySentence, energyTable, periodText, greatest, stringName } from "./words.js";
import { stringRows } from "./device.js";
import { zoomable, zoomArea, zoomButton, zoomSpan } from "./zoom.js";
import { energyKpis, sourceBar, moneyLine, capacityLine, partsOf, todayDate, firstDate } from "./now.js";
import { heatMap, heatChoice, heatTable } from "./heat.js";
import { when, deviceName } from "./shell.js";

/** @returns {string | undefined} what periods are compared with */
function comparison() {
  return state.settings.compare === "none" ? undefined : state.settings.compare;
}

/** The row of an answer with one row, or its totals. @param {any} a */
function totalsOf(a) {
  return (a && a.totals) || {};
}

/** @param {any} a @returns {any} what it is compared with, if there is anything */
function earlier(a) {
  const c = a && a.compare;
  return c && c.totals && Object.values(c.totals).some((v) => known(v) && v > 0) ? c : null;
}

/** Its columns, without what was not measured whole. @param {any} was */
function wholeColumns(was) {
  if (!was) return null;
  const whole = (was.columns || {}).coverage || [];
  return Object.fromEntries(Object.entries(was.columns || {}).map(([name, list]) => [name, Array.isArray(list) ? list.map((v, i) => (whole[i] >= 0.95 ? v : null)) : []]));
}

/** Its totals, if it was measured whole: less than that compares with nothing. @param {any} was */
function wholeTotals(was) {
  return was && known(was.totals.coverage) && was.totals.coverage >= 0.95 ? was.totals : null;
}

/**
 * Previous, the period itself, next.
 * @param {string} view @param {string} period 2026-11-23, 2026-11 or 2026 @param {string} style
 */
export function navigator(view, period, style) {
  const today = todayDate().slice(0, period.length);
  const start = firstDate().slice(0, period.length);
  const step = (/** @type {number} */ n, /** @type {string} */ label, /** @type {"left" | "right"} */ sign, /** @type {boolean} */ there) => (there
    ? html`<a class="button" href=${link(view, addPeriod(period, n))} aria-label=${label}>${icon(sign)}</a>`
    : html`<button disabled aria-label=${label}>${icon(sign)}</button>`);
  const go = (/** @type {Event} */ e) => {
    const v = /** @type {HTMLInputElement} */ (e.target).value;
    if (isDate(v) && v <= today) location.hash = link(view, v);
  };
  const type = view === "day" ? "date" : "month";
  const name = view === "year" ? period : dateText(period, style);
  return html`<div class="navigator">${step(-1, t("previous"), "left", !start || period > start)}
    <div class="period"><h2 aria-live="polite">${name}</h2>${view === "year" ? nothing
    : html`<input type=${type} aria-label=${t("date")} .value=${period} min=${start} max=${today} @change=${go}>`}</div>
    ${step(1, t("next"), "right", period < today)}
    ${period === today ? nothing : html`<a class="button" href=${link(view)}>${t("today")}</a>`}</div>`;
}

/** What the small numbers compare with; pressed, it is something else. @param {string} text */
function comparedWith(text) {
  const next = { last_year: "previous", previous: "none", none: "last_year" };
  const now = /** @type {keyof typeof next} */ (state.settings.compare);
  return html`<button class="quiet wordy" @click=${() => saveSettings({ compare: next[now] || "last_year" })}>${t("compare")}: ${t(`compare_${now}`)}${text}</button>`;
}

/** @param {any} a @param {ReturnType<typeof partsOf>} parts @param {string} title @param {any} [more] */
function totalsCard(a, parts, title, more) {
  const was = earlier(a.data);
  const names = was && was.labels ? was.labels : [];
  const text = names.length ? ` (${periodText(names[0], "full")}${names.length > 1 ? ` – ${periodText(names[names.length - 1], "full")}` : ""})` : a.data && comparison() ? ` (${t("chart_empty")})` : "";
  return card("totals", title, whenKnown(a, (d) => html`${energyKpis(totalsOf(d), parts, wholeTotals(was))}${sourceBar(totalsOf(d), parts)}${roomForStrip() ? html`${moneyLine(totalsOf(d), d.source)}${more || nothing}` : nothing}
    ${comparedWith(text)}`, "today"));
}

// ---- Day

/** @param {string} date */
export function dayView(date) {
  const parts = partsOf(currentDevice());
  const day = ask(forDevice("/v1/series", { from: date, to: date, resolution: "5m" }));
  const total = ask(forDevice("/v1/energy", { resolution: "day", from: date, to: date, compare: comparison() }));
  const hours = ask(forDevice("/v1/energy", { resolution: "hour", from: date, to: date }));
  return html`${navigator("day", date, "day")}${columns([
    ["full", () => totalsCard(total, parts, t("totals"), peakLine(total.data))],
    ["full", () => dayCard(date, day, parts)],
    ["right", () => hoursCard(date, hours, parts)],
    ["left", () => gapsCard(day)],
  ])}`;
}

/** @param {any} a */
function peakLine(a) {
  const total = totalsOf(a);
  if (!known(total.pv_peak_w) || total.pv_peak_w < 25) return nothing;
  return html`<p class="note">${t("max_pv")} <b>${powerText(total.pv_peak_w, unitOf([[total.pv_peak_w]], state.settings.unit))}</b>${known(total.pv_peak_at)
    ? ` · ${clock(total.pv_peak_at, deviceZone())}` : ""}</p>`;
}

/** @param {string} date @param {import("./api.js").Answer} whole @param {ReturnType<typeof partsOf>} parts */
function dayCard(date, whole, parts) {
  const zone = deviceZone();
  const now = ask(forDevice("/v1/realtime", {}), 300).data;
  const found = stringRows((now && now.values) || {}).map((r) => r.n);
  const modes = [["balance", t("balance")], ["lines", t("power_lines")], ...(found.length ? [["strings", t("mppt")]] : [])];
  const mode = chosen("day", modes.map(([key]) => key));
  const inputs = mode === "strings" ? found : undefined;
  // The server computes the strings from the samples: they are asked for when they are looked at.
  const day = inputs ? ask(forDevice("/v1/series", { from: date, to: date, resolution: "5m", columns: inputs.map((n) => `mppt${n}_w`).join(",") })) : whole;
  const a = day.data;
  const d = a ? dayColumns(a) : null;
  const unit = !d ? "kW" : unitOf(inputs ? inputs.map((n) => stringColumn(a, n)) : [d.load, d.pv, d.battery, d.grid], state.settings.unit);
  const empty = d && !Object.values(a.columns).some((c) => c.some(known));
  const file = `sunspool-${date}${inputs ? "-strings" : ""}`;
  const shown = { key: `${state.device} ${date}`, now: serverNow(), from: 0, to: 0 };
  if (a) [shown.from, shown.to] = spanOf(a);
  const body = html`${switcher("day", t("day_curve"), modes)}${whenKnown(day, () => (empty ? html`<div class="hollow curve">${t("no_data_day")}</div>` : html`
    ${zoomArea(html`${figure(zoomable(dayPlot(a, { parts, unit: state.settings.unit, now: serverNow(), zone, key: `day ${date}`, height: chartHeight(state.wide ? 380 : 270), mode, inputs }), shown),
    () => daySentence(a, zone, unit, undefined, inputs))}
    ${legend(inputs ? stringLegend(inputs, stringName) : mode === "lines" ? lineLegend(parts) : dayLegend(/** @type {any} */ (d), parts))}
    ${parts.battery && d && roomForStrip() && d.soc.some(known) ? figure(zoomable(socPlot(a, { key: `day ${date}`, now: serverNow() }), shown), () => socSentence(a, zone), "strip") : nothing}`)}
    <div class="actions">${csvButton(() => dayTable(a, zone, unit, file, parts, 0, inputs))}<button class="quiet-button" @click=${() => picture(file, `${deviceName(currentDevice())} · ${dateText(date, "day")}${zoomText(zone)} · ${unit}`)}>${icon("save")} PNG</button></div>`), "curve")}`;
  return card("curve", t("day_curve"), body, { unit, extra: zoomButton(), table: a && !empty ? () => dayTable(a, zone, unit, file, parts, 3600, inputs) : null });
}

/** The span that is shown in place of the day. @param {string} zone */
function zoomText(zone) {
  const span = zoomSpan();
  return span ? `, ${clock(span[0], zone)}–${clock(span[1], zone)}` : "";
}

/** Saves the day's charts as a picture, with their title and their legend. @param {string} file @param {string} title */
function picture(file, title) {
  const plots = /** @type {HTMLCanvasElement[]} */ ([...document.querySelectorAll("#curve sun-plot canvas")]);
  const canvas = document.createElement("canvas");
  const ctx = canvas.getContext("2d");
  if (!plots.length || !ctx) return;
  const px = devicePixelRatio;
  const keys = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#curve .legend li")]);
  const colour = (/** @type {Element} */ e, /** @type {string} */ name) => (ctx.fillStyle = getComputedStyle(e).getPropertyValue(name).trim());
  const font = () => (ctx.font = `${13 * px}px system-ui, sans-serif`);
  font();
  // Where each entry of the legend begins: they are several lines on a phone.
  let [x, y] = [12 * px, 40 * px + plots.reduce((sum, p) => sum + p.height, 0)];
  const places = keys.map((li) => {
    const width = ctx.measureText(li.innerText).width + 32 * px;
    if (x + width > plots[0].width) [x, y] = [12 * px, y + 20 * px];
    x += width;
    return [x - width, y];
  });
  canvas.width = plots[0].width;
  canvas.height = y + 28 * px;
  colour(document.body, "--card");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  colour(document.body, "--text");
  font();
  ctx.fillText(title, 12 * px, 22 * px);
  keys.forEach((li, i) => ctx.fillText(li.innerText, places[i][0] + 15 * px, places[i][1] + 14 * px));
  keys.forEach((li, i) => {
    colour(li, "--tone");
    ctx.fillRect(places[i][0], places[i][1] + 4 * px, 10 * px, 10 * px);
  });
  y = 34 * px;
  for (const p of plots) {
    ctx.drawImage(p, 0, y);
    y += p.height;
  }
  canvas.toBlob((blob) => blob && download(`${file}.png`, blob));
}

/** @param {string} date @param {import("./api.js").Answer} hours @param {ReturnType<typeof partsOf>} parts */
function hoursCard(date, hours, parts) {
  const body = whenKnown(hours, (a) => {
    const labels = a.labels || [];
    return figure(barsPlot(a.columns || {}, labels, { key: `hours ${date}`, height: 210, parts, gaps: true, text: (i) => labels[i].slice(11, 13),
      long: (i) => labels[i].slice(11, 16) }), () => energySentence(a, t("hourly")));
  }, "bars");
  return card("hours", t("hourly"), body, { unit: "kWh", table: tableFor(hours, (a) => energyTable(a, "short", `sunspool-${date}-hours`, parts)) });
}

/** @param {import("./api.js").Answer} day */
function gapsCard(day) {
  const zone = deviceZone();
  return card("gaps", t("gaps"), whenKnown(day, (a) => {
    const gaps = (a.gaps || []).filter((/** @type {any} */ g) => g && known(g.from) && known(g.to));
    if (!gaps.length) return html`<p class="note">${t("gaps_none")}</p>`;
    return html`<ul class="gaps">${gaps.map((/** @type {any} */ g) => html`<li class="key gap">${t("gap", { from: when(g.from, zone), to: when(g.to, zone),
      reason: t(`reason_${g.reason}`) })}</li>`)}</ul>`;
  }));
}

// ---- Month

/** @param {any} a @param {string[]} labels all of the period, also those that are not over: columns of that length */
function padded(a, labels) {
  /** @type {Record<string, any[]>} */
  const out = {};
  const at = new Map((a.labels || []).map((/** @type {string} */ l, /** @type {number} */ i) => [l, i]));
  for (const [name, list] of Object.entries(a.columns || {})) {
    out[name] = labels.map((l) => (at.has(l) ? /** @type {any[]} */ (list)[at.get(l)] : null));
  }
  return out;
}

/** @param {string} month */
export function monthDays(month) {
  return Array.from({ length: Number(lastDay(month).slice(8)) }, (_, i) => `${month}-${String(i + 1).padStart(2, "0")}`);
}

/** @param {string} month */
export function monthView(month) {
  const parts = partsOf(currentDevice());
  const a = ask(forDevice("/v1/energy", { resolution: "day", from: firstDay(month), to: lastDay(month), compare: comparison() }));
  const labels = monthDays(month);
  const was = earlier(a.data);
  const table = (/** @type {any} */ d) => energyTable(d, "short", `sunspool-${month}`, parts);
  const bars = whenKnown(a, (d) => html`${figure(barsPlot(padded(d, labels), labels, { key: `month ${month} ${state.settings.compare}`, of: d, height: chartHeight(state.wide ? 330 : 260), parts,
    text: (i) => String(i + 1), long: (i) => dateText(labels[i], "long"), average: true, gaps: true, ghost: wholeColumns(was),
    tap: (i) => labels[i] <= todayDate() && location.assign(link("day", labels[i])) }), () => energySentence(d, dateText(month, "month")), "tappable")}
    ${barLegend(parts, Boolean(was))}${bestLine(d)}
    <div class="actions">${csvButton(() => table(d))}</div>`, "bars");
  return html`${navigator("month", month, "month")}${columns([
    ["full", () => totalsCard(a, parts, t("totals"))],
    ["full", () => card("bars", t("by_day"), bars, { unit: "kWh", table: tableFor(a, table) })],
    ["full", () => parts.load ? card("autarky", t("autarky_by_day"), whenKnown(a, (d) => figure(sharePlot(padded(d, labels).self_sufficiency_pct, labels,
      { key: `share ${month}`, of: d, text: (i) => String(i + 1), long: (i) => dateText(labels[i], "long") }),
    () => bestSentence(t("autarky_by_day"), d.labels, d.columns.self_sufficiency_pct || [], percentText))),
    { unit: "%", table: tableFor(a, (d) => energyTable(d, "short", `sunspool-${month}-share`, parts, "self_sufficiency")) }) : nothing],
  ])}`;
}

/** Shares in %, one bar per row. @param {any} list @param {string[]} labels @param {{ key: string, of?: any, text: (i: number) => string, long: (i: number) => string }} o @returns {import("./plot.js").Plot} */
function sharePlot(list, labels, o) {
  const n = labels.length;
  const shares = column(list, n);
  return { data: [labels.map((_, i) => i), shares], of: [o.of || list], height: 110, key: `${o.key} ${n}`, tip: (i) => [[o.long(i), ""], [t("self_sufficiency"), percentText(shares[i])]],
    options: () => ({ padding: [10, 8, 0, 0], scales: { x: { time: false, range: [-0.6, n - 0.4] }, y: { range: [0, 100] } },
      axes: barAxes(labels, o.text, { splits: () => [0, 50, 100], values: () => ["0", "50", "100%"] }),
      series: [{}, { fill: color("battery"), stroke: "transparent", width: 0, paths: barPaths({ size: [0.66, 56] }), points: { show: false } }] }) };
}

/** @param {ReturnType<typeof partsOf>} parts @param {boolean} ghost @param {boolean} [mean] */
export function barLegend(parts, ghost, mean = true) {
  return legend([["solar", t(parts.load ? "solar_used" : "solar")], ...(parts.battery ? [["battery", t("from_battery")]] : []),
    ...(parts.grid ? [["import", t("from_grid")]] : []), ...(parts.battery ? [["charge", t("to_battery")]] : []), ...(parts.grid ? [["export", t("to_grid")]] : []),
    ...(ghost ? [["ghost", t(`compare_${state.settings.compare}`)]] : []), ...(mean && parts.load ? [["home line", t("average")]] : [])]);
}

/** @param {any} a */
function bestLine(a) {
  const pv = (a.columns || {}).pv_kwh || [];
  const today = todayDate();
  const whole = pv.map((/** @type {any} */ v, /** @type {number} */ i) => (known(v) && a.labels[i] !== today ? v : null));
  const best = greatest(whole);
  const worst = greatest(whole.map((/** @type {any} */ v) => (v === null ? null : -v)));
  if (best < 0 || best === worst) return nothing;
  const say = (/** @type {string} */ name, /** @type {number} */ i) => html`<span>${t(name)} <a href=${link("day", a.labels[i])}><b>${dateText(a.labels[i], "short")}</b></a> ${energyText(pv[i])}</span>`;
  return html`<p class="note spread">${say("best_day", best)} ${say("worst_day", worst)}</p>`;
}

// ---- Year

/** @param {string} year */
export function yearView(year) {
  const parts = partsOf(currentDevice());
  const a = ask(forDevice("/v1/energy", { resolution: "month", from: firstDay(year), to: lastDay(year), compare: comparison() }));
  const days = ask(forDevice("/v1/energy", { resolution: "day", from: firstDay(year), to: lastDay(year) }), 900);
  const labels = Array.from({ length: 12 }, (_, i) => `${year}-${String(i + 1).padStart(2, "0")}`);
  const was = earlier(a.data);
  const table = (/** @type {any} */ d) => energyTable(d, "short", `sunspool-${year}`, parts);
  const bars = whenKnown(a, (d) => html`${figure(barsPlot(padded(d, labels), labels, { key: `year ${year} ${state.settings.compare}`, of: d, height: chartHeight(state.wide ? 320 : 260), parts,
    text: (i) => dateText(labels[i], "monthShort"), long: (i) => dateText(labels[i], "month"), ghost: wholeColumns(was),
    tap: (i) => labels[i] <= todayDate() && location.assign(link("month", labels[i])) }), () => energySentence(d, year), "tappable")}
    ${barLegend(parts, Boolean(was), false)}
    <div class="actions">${csvButton(() => table(d))}</div>`, "bars");
  const heat = whenKnown(days, (d) => heatMap(d, year, parts), "bars");
  return html`${navigator("year", year, "year")}${columns([
    ["full", () => totalsCard(a, parts, t("totals"))],
    ["full", () => card("bars", t("months"), bars, { unit: "kWh", table: tableFor(a, table) })],
    ["full", () => card("heat", t("calendar"), heat, { extra: heatChoice(parts), table: tableFor(days, (d) => heatTable(d, year, parts)) })],
    ["full", () => peaksCard(a, labels, parts)],
  ])}`;
}

/** @param {import("./api.js").Answer} a @param {string[]} labels @param {ReturnType<typeof partsOf>} parts */
function peaksCard(a, labels, parts) {
  if (!a.data || !parts.grid) return nothing;
  const c = padded(a.data, labels);
  const rows = labels.map((l, i) => ({ l, w: (c.import_peak15_w || [])[i], at: (c.import_peak15_at || [])[i] })).filter((r) => known(r.w));
  if (!rows.length) return nothing;
  const top = Math.max(...rows.map((r) => r.w));
  const month = labels.filter((l) => l <= todayDate().slice(0, 7)).pop();
  const priced = ((currentDevice() || {}).tariff || {}).capacity === "be";
  return card("peaks", t("peaks_by_month"), html`${priced ? whenKnown(ask(forDevice("/v1/capacity", { month }), 900), capacityLine) : nothing}<ul class="peaks">${rows.map((r) => html`<li><span>${dateText(r.l, "monthShort")}</span>
    <span class="track"><span .style=${`width:${(100 * r.w) / Math.max(top, 1)}%`}></span></span>
    <b>${powerText(r.w, unitOf([[r.w]], state.settings.unit), true)}</b><small>${known(r.at) ? when(r.at, deviceZone()) : NBSP}</small></li>`)}</ul>`, { table: () => ({
    file: `sunspool-${labels[0].slice(0, 4)}-peaks`, fields: [{ name: t("peaks_by_month"), unit: "W", text: (v) => powerText(v, "kW") }, { name: t("time"), unit: "", text: String }],
    rows: rows.map((r) => ({ label: dateText(r.l, "month"), v: [r.w, known(r.at) ? when(r.at, deviceZone()) : ""] })) }) });
}
