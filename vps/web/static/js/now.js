// The first view: where the energy goes right now, how today went, and the last 14 days.
import { html, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { state, serverNow, newestSample, currentDevice, deviceZone, stateNow, ageNow, seconds, link, forDevice } from "./store.js";
import { ask } from "./api.js";
import { known, UNKNOWN, energy, percent, power, quantity, withUnit, clock, dateText, money, groupUnit, decimal, NBSP, powerText, percentText } from "./format.js";
import { localDate, addDays } from "./dates.js";
import { flowPicture, flowTable, hasFlows, unaccounted } from "./flow.js";
import { added, card, twin, twinButton, whenKnown, tableFor, kpi, legend, figure, columns, chartHeight, roomForStrip } from "./widgets.js";
import { dayPlot, socPlot, barsPlot, dayColumns, dayLegend, lineLegend, unitOf } from "./charts.js";
import { when } from "./shell.js";
import { daySentence, socSentence, dayTable, energySentence, energyTable, moneySign } from "./words.js";

/** What the unit can measure; all of it until it is known. @param {any} d */
export function partsOf(d) {
  const c = (d && d.capabilities) || {};
  return { battery: c.battery !== false, grid: c.grid !== false, load: c.load !== false, currency: ((d && d.tariff) || {}).currency || "EUR" };
}

export function todayDate() {
  return localDate(serverNow(), deviceZone());
}

/** The day of the first sample; "" if that is not known. */
export function firstDate() {
  const first = seconds((currentDevice() || {}).first_sample);
  return known(first) ? localDate(first, deviceZone()) : "";
}

/** The questions of the first view; the server answers them with the page. */
export function firstQuestions() {
  const today = todayDate();
  return { realtime: forDevice("/v1/realtime", {}), energy: forDevice("/v1/energy", { resolution: "day", from: addDays(today, -13), to: today }),
    series: forDevice("/v1/series", { from: today, to: today, resolution: "5m" }) };
}

/** The last row of an answer of /v1/energy, with what the stream has reported since. @param {any} a @param {string} today */
export function todayRow(a, today) {
  const i = a && a.labels ? a.labels.indexOf(today) : -1;
  /** @type {Record<string, any>} */
  const row = {};
  if (i >= 0) for (const [name, list] of Object.entries(a.columns || {})) row[name] = /** @type {any[]} */ (list)[i];
  const s = state.today && state.today.date === today ? state.today : null;
  if (s) for (const [name, v] of Object.entries(s)) if (known(v)) row[name] = v;
  return row;
}

export function nowView() {
  const q = firstQuestions();
  const days = ask(q.energy, 120);
  const day = ask(q.series, 120);
  const d = currentDevice();
  const parts = partsOf(d);
  return columns([
    ["left", () => flowCard(parts)],
    ["right", () => todayCard(days, parts)],
    ["right", () => curveCard(day, parts)],
    ["left", () => state.kiosk && (!state.wide || innerHeight < 780) ? nothing : weeksCard(days, parts)],
    ["right", () => parts.battery && !state.kiosk ? batteryCard(day) : nothing],
    ["right", () => peakCard(d)],
    ["right", () => state.kiosk ? nothing : liveCard()],
  ], 9);
}

/** @param {ReturnType<typeof partsOf>} parts */
function flowCard(parts) {
  const s = newestSample();
  const mode = stateNow();
  state.unit = groupUnit(state.unit, s ? [s.pv_w, s.load_w, s.battery_w, s.grid_w] : [], Date.now(), state.settings.unit);
  const asleep = mode === "asleep";
  const shown = s && asleep ? { ...s, pv_w: 0, load_w: null, grid_w: null, flows: null } : s;
  const rest = mode === "live" || mode === "delayed" ? unaccounted(s) : null;
  const old = mode === "stale" || mode === "offline" ? t("as_of", { time: clock(s && s.t, deviceZone()) }) : "";
  const note = mode === "offline" && s ? lastKnown(s, parts) : nothing;
  return card("power", t("power_now"), html`${flowPicture(shown, parts, state.unit.unit, mode)}
    ${known(rest) ? html`<p class="note rest">${t("unaccounted", { power: `±${NBSP}${powerText(rest, state.unit.unit)}` })}</p>` : nothing}${note}${added.note(null)}`,
  { unit: old, cls: `flow-card ${mode}`, table: mode !== "offline" && hasFlows(shown) ? () => flowTable(shown, state.unit.unit) : null });
}

/** @param {import("./store.js").Sample} s @param {ReturnType<typeof partsOf>} parts */
function lastKnown(s, parts) {
  const say = [[t("solar"), s.pv_w], ...(parts.load ? [[t("home"), s.load_w]] : []), ...(parts.battery ? [[t("battery"), s.battery_w]] : []),
    ...(parts.grid ? [[t("grid"), s.grid_w]] : [])];
  const unit = unitOf([say.map(([, v]) => /** @type {number | null} */ (v))]);
  const text = say.map(([name, v]) => `${name} ${powerText(/** @type {any} */ (v), unit)}`).join(" · ");
  return html`<p class="note">${t("last_known", { time: clock(s.t, deviceZone()) })}: ${text}</p>`;
}

/** "≥" before what was not measured whole, "≈" before what is placed in time by estimate. @param {any} row @param {string} name @param {string} coverage */
export function certainty(row, name, coverage = "coverage") {
  const c = row[coverage];
  if (known(c) && c < 0.98) return { prefix: `≥${NBSP}`, note: t("measured_part", { percent: percentText(c * 100) }) };
  const spread = row[`spread_${name}`];
  if (known(spread) && spread > 0.05 * Math.abs(row[name] || 0)) return { prefix: `≈${NBSP}`, note: t("spread_note") };
  return { prefix: "", note: "" };
}

/** The four numbers of a row of energies. @param {any} row @param {ReturnType<typeof partsOf>} parts @param {any} [was] for comparison */
export function energyKpis(row, parts, was) {
  const one = (/** @type {string} */ label, /** @type {string} */ name, /** @type {string} */ tone, /** @type {string} */ coverage) => {
    const sure = certainty(row, name, coverage);
    const delta = was && known(was[name]) && known(row[name]) ? difference(row[name] - was[name]) : "";
    return kpi(t(label), energy(row[name]), tone, sure.note || delta, known(row[name]) ? sure.prefix : "");
  };
  return html`<dl class="kpis">${one("solar", "pv_kwh", "solar", "coverage")}
    ${parts.load ? one("used", "load_kwh", "home", "load_coverage") : nothing}
    ${parts.grid ? html`${one("exported", "export_kwh", "export", "grid_coverage")}${one("imported", "import_kwh", "import", "grid_coverage")}` : nothing}</dl>`;
}

/** @param {number} kwh */
export function difference(kwh) {
  const shown = energy(Math.abs(kwh));
  return `${kwh < 0 ? "−" : "+"}${withUnit(shown)}`;
}

/** Where the home's energy came from. @param {any} row @param {ReturnType<typeof partsOf>} parts */
export function sourceBar(row, parts) {
  const all = [["solar", t("solar"), row.solar_home_kwh], ["battery", t("battery"), row.battery_home_kwh], ["import", t("grid"), row.grid_home_kwh]]
    .filter(([tone]) => tone !== "battery" || parts.battery);
  const sum = all.reduce((s, [, , v]) => s + (known(v) ? v : 0), 0);
  const shares = [["self_sufficiency", row.self_sufficiency_pct], ["self_consumption", row.self_consumption_pct]].filter(([, v]) => known(v));
  if (!parts.load || (!(sum >= 0.05) && !shares.length)) return nothing;
  const share = (/** @type {any} */ v) => (known(v) ? (v / sum) * 100 : null);
  return html`${sum >= 0.05 ? html`<div class="bar" aria-hidden="true">${all.map(([tone, , v]) => (known(v) && v > 0
    ? html`<span class=${tone} .style=${`flex-grow:${v / sum}`}></span>` : nothing))}</div>` : nothing}
    <ul class="legend">${sum >= 0.05 && !state.kiosk ? html`<li>${t("home_from")}</li>` : nothing}${sum >= 0.05 ? all.map(([tone, name, v]) => html`<li class="key ${tone}">${name} ${percentText(share(v))}</li>`) : nothing}
    ${shares.map(([name, v]) => html`<li>${t(String(name))} <b>${percentText(/** @type {any} */ (v))}</b></li>`)}</ul>`;
}

/** What it cost, saved, and spared the air, where the server has prices. @param {any} row @param {any} [source] of its columns */
export function moneyLine(row, source) {
  const { currency } = partsOf(currentDevice());
  const say = (/** @type {string} */ key, /** @type {any} */ v, text = (/** @type {number} */ x) => money(x, currency)) => (known(v)
    ? [html`<span>${t(key)} <b>${moneySign(key, (n) => row[n], source)}${text(v)}</b></span>`] : []);
  const parts = [...say("saved", row.saved), ...(row.cost < 0 ? say("earned", -row.cost) : say("cost", row.cost)), ...(known(row.cost) ? say("fee", row.fee) : []),
    ...say("co2_avoided", row.co2_avoided_kg, (v) => withUnit(quantity(v, v < 10 ? 1 : 0, "kg")))];
  return parts.length ? html`<p class="note spread">${parts}</p>` : nothing;
}

/** @param {import("./api.js").Answer} days @param {ReturnType<typeof partsOf>} parts */
function todayCard(days, parts) {
  const today = todayDate();
  const body = whenKnown(days, (a) => {
    const row = todayRow(a, today);
    return html`${energyKpis(row, parts)}${sourceBar(row, parts)}${state.kiosk ? nothing : yesterday(row, today)}${roomForStrip() ? moneyLine(row, a.source) : nothing}`;
  }, "today");
  return card("today", t("today"), body);
}

/** Reports whether the first view is drawn: what else is worth asking does not stand in its way. */
function afterFirst() {
  if (state.ready && performance.now() >= 2000) return true;
  setTimeout(() => dispatchEvent(new Event("later")), 2000);
  return false;
}

/** @param {any} row @param {string} today */
function yesterday(row, today) {
  if (!afterFirst()) return html`<p class="note">${NBSP}</p>`;
  const a = ask(forDevice("/v1/energy", { resolution: "day", from: today, to: today, compare: "previous" }), 600);
  const was = a.data && a.data.compare && a.data.compare.totals;
  if (!was || !known(was.pv_kwh) || !known(row.pv_kwh)) return html`<p class="note">${NBSP}</p>`;
  const until = clock(a.data.until, deviceZone());
  return html`<p class="note">${t("vs_yesterday", { time: until })} <b>${difference(a.data.totals.pv_kwh - was.pv_kwh)}</b></p>`;
}

/** Reports whether a column has a value. @param {import("./charts.js").Column[]} columns */
function measured(...columns) {
  return columns.some((c) => c.some(known));
}

/** @param {import("./api.js").Answer} day @param {ReturnType<typeof partsOf>} parts */
function curveCard(day, parts) {
  const zone = deviceZone();
  const a = day.data;
  const d = a ? dayColumns(a) : null;
  const unit = d ? unitOf([d.load, d.pv, d.battery, d.grid], state.settings.unit) : "kW";
  const first = seconds((currentDevice() || {}).first_sample);
  const young = known(first) && serverNow() - first < 3600;
  const body = whenKnown(day, () => html`
    ${young ? html`<p class="note">${t("collecting", { time: clock(first, zone) })}</p>` : nothing}
    ${figure(dayPlot(a, { parts, unit: state.settings.unit, now: serverNow(), zone, key: "today", height: chartHeight(state.wide ? 310 : 250) }), () => daySentence(a, zone, unit))}
    ${legend(dayLegend(/** @type {any} */ (d), parts))}
    ${parts.battery && d && roomForStrip() && d.soc.some((v) => v !== null) ? figure(socPlot(a, { key: "today", now: serverNow() }), () => socSentence(a, zone), "strip") : nothing}`, "curve");
  return card("curve", t("day_curve"), body, { unit, table: d && measured(d.pv, d.load, d.battery, d.grid, d.soc) ? () => dayTable(a, zone, unit, `sunspool-${todayDate()}`, parts) : null });
}

/** @param {import("./api.js").Answer} days @param {ReturnType<typeof partsOf>} parts */
function weeksCard(days, parts) {
  const today = todayDate();
  const body = whenKnown(days, (a) => {
    const labels = a.labels || [];
    const plot = barsPlot(a.columns || {}, labels, { key: "weeks", height: 210, parts, gaps: true,
      text: (i) => (labels[i] === today ? t("today_short") : labels[i + 1] === today ? "" : String(Number(labels[i].slice(8)))),
      long: (i) => dateText(labels[i], "long"), tap: (i) => location.assign(link("day", labels[i])) });
    return figure(plot, () => energySentence(a, t("last_14_days")), "tappable");
  }, "bars");
  return card("weeks", t("last_14_days"), body, { unit: "kWh", table: tableFor(days, (a) => energyTable(a, "short", "sunspool-14", parts)) });
}

/** When the battery is full or empty if it goes on like this. Pure. @param {number} soc @param {number} w @param {number} kwh */
export function batteryHours(soc, w, kwh) {
  if (Math.abs(w) < 100 || !(kwh > 0)) return null;
  const hours = w > 0 ? ((100 - soc) / 100) * kwh / (w / 1000) : (soc / 100) * kwh / (-w / 1000);
  return hours > 0.05 && hours < 48 ? hours : null;
}

/** @param {import("./api.js").Answer} day */
function batteryCard(day) {
  const a = day.data;
  const d = a ? dayColumns(a) : null;
  const s = newestSample();
  const r = ask(firstQuestions().realtime, 60).data || {};
  const values = r.values || {};
  const device = currentDevice() || {};
  const kwh = values.battery_capacity_fine || values.battery_capacity || ((device.capacity || {}).battery_wh || 0) / 1000;
  const age = ageNow();
  const fresh = s && known(age) && age < 60;
  const recent = stateNow() !== "offline";
  const hours = fresh && known(s.soc_pct) && known(s.battery_w) ? batteryHours(s.soc_pct, s.battery_w, kwh) : null;
  // Often a time of tomorrow, whose offset no answer has yet: it is text of Intl.
  const until = known(hours) && state.ready ? t(s && (s.battery_w || 0) > 0 ? "full_at" : "empty_at", { time: clock(serverNow() + hours * 3600, deviceZone()) }) : "";
  const w = s ? s.battery_w : null;
  const doing = fresh && known(w) ? t(Math.abs(w) < 25 ? "idle" : w > 0 ? "charging" : "discharging") : "";
  return card("battery", t("battery"), html`<dl class="kpis three">${kpi(t("soc"), percent(recent && s ? s.soc_pct : null), "battery", until)}
    ${kpi(t("power"), power(fresh ? w : null, unitOf([[w]], state.settings.unit)), "", doing)}
    ${device.of ? nothing : kpi(t("temperature"), quantity(recent ? r.battery_temp_c : null, 1, "°C"), "")}</dl>`,
  { unit: kwh > 0 ? `${decimal(kwh, 1)}${NBSP}kWh` : "", table: d && measured(d.battery, d.soc) ? () => dayTable(a, deviceZone(), unitOf([d.battery], state.settings.unit), `sunspool-${todayDate()}-battery`, { battery: true, only: true }) : null });
}

/** The month's highest quarter-hour, where a tariff makes it cost money. @param {any} d */
function peakCard(d) {
  if (!d || (d.tariff || {}).capacity !== "be" || state.kiosk) return nothing;
  return card("peak", t("month_peak"), !afterFirst() ? html`<div class="hollow peak">${UNKNOWN}</div>` : whenKnown(ask(forDevice("/v1/capacity", {}), 20), (c) => {
    const q = c.quarter || {};
    const m = c.months[c.months.length - 1];
    const at = seconds(m.peak_ts);
    const time = clock(seconds(q.to), deviceZone());
    const far = q.head_room_w > 1e5;
    const more = (c.cost || {}).forecast_year - (c.cost || {}).year;
    return html`<dl class="kpis three">${kpi(t("this_quarter"), power(q.so_far_w, "kW"), "import", known(q.forecast_w)
      ? t("becomes", { power: powerText(q.forecast_w, "kW"), time }) : t("measured_part", { percent: percentText(100 * q.coverage) }))}
      ${kpi(t("month_peak"), power(m.peak_w, "kW"), "", known(at) ? when(at, deviceZone()) : "", m.coverage < 0.98 && known(m.peak_w) ? `≥${NBSP}` : "")}
      ${kpi(t("head_room"), power(far ? 1e5 : q.head_room_w, "kW"), "", known(q.head_room_w) ? t("until", { time }) : "", far ? `>${NBSP}` : "")}</dl>
      ${capacityLine(c)}${more >= 0.005 ? html`<p class="note"><b>${t("raises", { cost: money(more, c.cost.currency) })}</b></p>` : nothing}`;
  }, "peak"));
}

/** The mean of the months' peaks, and what it costs. @param {any} c answer of /v1/capacity */
export function capacityLine(c) {
  if (!c.cost || !known(c.cost.year)) return nothing;
  const cost = (/** @type {number} */ v) => money(v, c.cost.currency);
  return html`<p class="note spread"><span>${t("mean_peak", { n: c.months.filter((/** @type {any} */ m) => known(m.counted_w)).length })} <b>${powerText(c.mean_w, "kW")}</b></span>
    <span>${t("cost")} <b>${t("cost_of", { month: cost(c.cost.month), year: cost(c.cost.year) })}</b></span></p>`;
}

/** The last 10 min as they were measured. */
function liveCard() {
  const list = state.samples;
  const now = serverNow();
  const unit = unitOf([list.map((s) => s.pv_w), list.map((s) => s.load_w), list.map((s) => s.grid_w)], state.settings.unit);
  const open = state.tables.has("live-open");
  return html`<details class="card" ?open=${open} @toggle=${(/** @type {any} */ e) => dispatchEvent(new CustomEvent("live", { detail: e.target.open }))}>
    <summary><h2>${t("live_10")} <small>${open ? unit : ""}</small></h2></summary>
    ${open ? livePart(list, unit, now) : nothing}</details>`;
}

/** How far the device's clocks are ahead of UTC, as answers have it. @param {number} s */
function zoneOffset(s) {
  const [h, m] = clock(s, deviceZone()).split(":").map(Number);
  return [[s, Math.round((h * 3600 + m * 60 - (s % 86400)) / 900) * 900]];
}

/** @param {import("./store.js").Sample[]} list @param {string} unit @param {number} now */
function livePart(list, unit, now) {
  const zone = deviceZone();
  const a = { start: Math.floor(now / 60) * 60 - 600, tz: { offsets: zoneOffset(now) }, to: new Date((Math.floor(now / 60) * 60 + 60) * 1000).toISOString(), t: list.map((s) => s.t),
    columns: { pv_w: list.map((s) => s.pv_w), load_w: list.map((s) => s.load_w), battery_w: list.map((s) => s.battery_w), grid_w: list.map((s) => s.grid_w), soc_pct: list.map((s) => s.soc_pct) } };
  const parts = partsOf(currentDevice());
  const table = list.length ? () => dayTable(a, zone, unit, "sunspool-live", parts, 0) : null;
  return html`<div class="side">${twinButton("live", t("live_10"), table)}</div>${twin("live", t("live_10"), html`${figure(dayPlot(a, { parts, unit, now: 0, zone, key: `live ${Math.floor(now / 60)}`, height: 180, mode: "lines" }), () => daySentence(a, zone, unit, t("live_10")))}
    ${legend(lineLegend(parts))}`, table)}`;
}
