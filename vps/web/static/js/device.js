// The device for whoever looks after it: which hop works, what its registers read, and what is missing.
import { html, nothing, icon } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed, serverNow, currentDevice, deviceZone, stateNow, ageNow, newestSample, seconds, forDevice } from "./store.js";
import { ask } from "./api.js";
import { known, decimal, quantity, withUnit, UNKNOWN, NBSP, energyText, percentText } from "./format.js";
import { card, whenKnown, columns } from "./widgets.js";
import { when, span } from "./shell.js";
import { partView } from "./parts.js";

const SIGNS = /** @type {Record<string, "ok" | "warn" | "down" | "moon">} */ ({ ok: "ok", slow: "warn", down: "down", unknown: "warn", asleep: "moon" });

export function deviceView() {
  const d = currentDevice();
  if (!d) return nothing;
  if (d.of) return partView("sites", (/** @type {any} */ m) => m.siteView(d));
  const now = ask(forDevice("/v1/realtime", {}), 15);
  // To the quarter-hour, so that it is one question for a while.
  const from = new Date((Math.floor(serverNow() / 900) * 900 - 86400) * 1000).toISOString().slice(0, 19);
  const held = ask(forDevice("/v1/continuity", { from: `${from}Z` }), 300);
  const values = (now.data && now.data.values) || {};
  return columns([
    ["full", () => chainCard(d)],
    ["left", () => factsCard(d, now.data)],
    ["right", () => availability(held, from)],
    ["right", () => stringsCard(values)],
    ["right", () => phasesCard(values)],
    ["left", () => countersCard(now)],
    ["foot", () => registersCard(now, values)],
  ]);
}

const TRUSTED_S = 10; // a batch may have been under way for so long

/**
 * How far the clock of the edge is off, in s. By edges that do not send their time, a sample of the future is by a clock that is
 * ahead, at least so far; of one that is behind nothing is known then.
 * @param {any} edge its hop
 */
function edgeSkew(edge) {
  if (edge && known(edge.clock_skew_s)) return { mark: `≈${NBSP}`, s: Math.abs(edge.clock_skew_s) > TRUSTED_S ? Math.abs(edge.clock_skew_s) : 0 };
  const newest = newestSample();
  return { mark: `≥${NBSP}`, s: newest ? newest.t - serverNow() : 0 };
}

/** @param {any} d */
function chainCard(d) {
  const zone = deviceZone();
  const hops = (d.chain || []).filter((/** @type {any} */ h) => h && h.hop);
  const lost = state.lost && Date.now() - state.lost > 10000;
  const skews = /** @type {Record<string, { mark: string, s: number }>} */ ({ edge: edgeSkew(hops.find((/** @type {any} */ h) => h.hop === "edge")),
    browser: { mark: "", s: Math.abs(state.ahead) / 1000 } });
  const all = [...hops, { hop: "browser", state: lost ? "down" : "ok", since: lost ? new Date(state.lost + state.ahead).toISOString() : undefined }];
  return card("chain", t("chain"), html`<ol class="chain">${all.map((h) => html`<li class=${SIGNS[h.state] ? h.state : "unknown"}>${icon(SIGNS[h.state] || "warn")}
    <b>${t(`hop_${h.hop}`)}</b> <span>${t(`state_${SIGNS[h.state] ? h.state : "unknown"}`)}</span>
    ${h.since ? html`<small>${t("since", { time: when(seconds(h.since), zone) })}</small>` : nothing}
    ${known(h.spool) ? html`<small>${t("samples_waiting")}: ${decimal(h.spool, 0)}</small>` : nothing}
    ${h.quarantined ? html`<small>${t("quarantined")}: ${decimal(h.quarantined, 0)}</small>` : nothing}
    ${skews[h.hop] && skews[h.hop].s >= 2 ? html`<small>${t("clock_skew")} ${skews[h.hop].mark}${span(skews[h.hop].s)}</small>` : nothing}
    ${h.says && h.says !== "ok" ? html`<small>${h.says}</small>` : nothing}${h.version ? html`<small>${t("version_is", { version: h.version })}</small>` : nothing}</li>`)}</ol>`);
}

/** @param {any} d @param {any} now */
function factsCard(d, now) {
  const zone = deviceZone();
  const age = ageNow();
  const values = (now && now.values) || {};
  const hertz = values.grid_frequency ?? values.grid_frequency_fine_string ?? values.grid_frequency_coarse;
  const facts = [[t("model"), d.model || UNKNOWN], ...(d.serial ? [[t("serial"), d.serial]] : []), ...(d.firmware ? [[t("firmware"), d.firmware]] : []), [t("inverter"), d.id],
    [t("state"), `${t(`state_${stateNow()}`)}${known(age) ? ` · ${t("ago", { time: span(age) })}` : ""}`],
    [t("first_sample"), when(seconds(d.first_sample), zone)], [t("last_sample"), when(seconds(d.last_sample), zone)], [t("time_zone"), d.time_zone || UNKNOWN],
    ...(known(values.inverter_temperature) ? [[t("temperature"), withUnit(quantity(values.inverter_temperature, 1, "°C"))]] : []),
    ...(now && known(now.battery_temp_c) ? [[`${t("battery")}, ${t("temperature")}`, withUnit(quantity(now.battery_temp_c, 1, "°C"))]] : []),
    ...(known(hertz) ? [[t("grid"), withUnit(quantity(hertz, 2, "Hz"))]] : [])];
  return card("facts", t("device"), html`<dl class="facts">${facts.map(([name, v]) => html`<div><dt>${name}</dt><dd>${v}</dd></div>`)}</dl>`);
}

/** @param {import("./api.js").Answer} held @param {string} from */
function availability(held, from) {
  const zone = deviceZone();
  const rows = ((held.data && held.data.holes) || []).map((/** @type {any} */ h) => ({ label: when(seconds(h.from), zone), at: seconds(h.from) || undefined,
    v: [when(seconds(h.to), zone), t(`reason_${h.reason}`)] }));
  return card("held", t("availability"), whenKnown(held, (a) => {
    const start = seconds(a.from) || seconds(`${from}Z`) || 0;
    const end = seconds(a.to) || serverNow();
    const whole = Math.max(1, end - start);
    const holes = (a.holes || []).filter((/** @type {any} */ h) => h && seconds(h.from) !== null && seconds(h.to) !== null);
    const at = (/** @type {any} */ s) => (100 * Math.min(Math.max((seconds(s) || 0) - start, 0), whole)) / whole;
    return html`<div class="held" role="img" aria-label="${t("availability")}: ${t("coverage")} ${percentText(known(a.coverage) ? a.coverage * 100 : null)}, ${t("say_gaps", { n: holes.length })}.">${holes.map((/** @type {any} */ h) => html`<span
      class=${h.reason} .style=${`left:${at(h.from)}%;width:${Math.max(0.4, at(h.to) - at(h.from))}%`}></span>`)}</div>
      <p class="ends"><span>${when(start, zone)}</span><b>${t("coverage")} ${percentText(known(a.coverage) ? a.coverage * 100 : null)}</b><span>${when(end, zone)}</span></p>
      ${holes.length ? html`<ul class="gaps">${holes.slice(-8).map((/** @type {any} */ h) => html`<li class="key gap">${t("gap", { from: when(seconds(h.from), zone), to: when(seconds(h.to), zone),
        reason: t(`reason_${h.reason}`) })}</li>`)}</ul>` : nothing}`;
  }), { table: rows.length ? () => ({ file: "sunspool-gaps", fields: ["until", "gaps"].map((name) => ({ name: t(name), unit: "", text: String })), rows }) : null });
}

/** @param {string} id @param {string} title @param {string[]} head @param {any[][]} rows */
function small(id, title, head, rows) {
  if (!rows.length) return nothing;
  return card(id, title, html`<table><thead><tr>${head.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead>
    <tbody>${rows.map((r) => html`<tr><th scope="row">${r[0]}</th>${r.slice(1).map((c) => html`<td>${c}</td>`)}</tr>`)}</tbody></table>`);
}

/** The DC inputs that the registers name. Pure. @param {Record<string, any>} values */
export function stringRows(values) {
  return Array.from({ length: 12 }, (_, i) => i + 1).map((n) => ({ n, v: values[`mppt${n}_voltage`], a: values[`mppt${n}_current`] })).filter((r) => known(r.v) || known(r.a))
    .map((r) => ({ ...r, w: known(r.v) && known(r.a) ? r.v * r.a : null }));
}

/** @param {Record<string, any>} values */
function stringsCard(values) {
  return small("strings", t("mppt"), [t("string"), "V", "A", `≈${NBSP}W`], stringRows(values).map((r) => [`${t("string")} ${r.n}`, quantity(r.v, 1, "").text,
    quantity(r.a, 1, "").text, quantity(r.w, 0, "").text]));
}

/** @param {Record<string, any>} values */
function phasesCard(values) {
  const rows = ["a", "b", "c"].map((p, i) => ({ name: `L${i + 1}`, v: values[`phase_${p}_voltage`], a: values[`phase_${p}_current`] ?? values[`phase_${p}_current_string`],
    w: values[`meter_phase_${p}_active_power`] ?? values[`meter_phase_${p}_power_string`] }))
    .filter((r) => known(r.v) || known(r.a) || known(r.w));
  return small("phases", t("phases"), [t("phase"), "V", "A", `${t("grid")} W`], rows.map((r) => [r.name, quantity(r.v, 1, "").text, quantity(r.a, 1, "").text, quantity(r.w, 0, "").text]));
}

/** @param {import("./api.js").Answer} now */
function countersCard(now) {
  return card("counters", t("counters"), whenKnown(now, (r) => {
    const rows = [["solar", r.pv_total_kwh], ["imported", r.import_total_kwh], ["exported", r.export_total_kwh], ["charged", r.charge_total_kwh],
      ["discharged", r.discharge_total_kwh]].filter(([, v]) => known(v));
    if (!rows.length) return html`<p class="note">${t("chart_empty")}</p>`;
    return html`<dl class="facts">${rows.map(([name, v]) => html`<div><dt>${t(String(name))}</dt><dd>${energyText(/** @type {any} */ (v))}</dd></div>`)}</dl>`;
  }));
}

let registerFilter = "";

/** @param {import("./api.js").Answer} now @param {Record<string, any>} values */
function registersCard(now, values) {
  const names = Object.keys(values).filter((n) => n.includes(registerFilter.toLowerCase().replace(/ /g, "_"))).sort();
  const body = whenKnown(now, () => (Object.keys(values).length ? html`<input class="search" type="search" aria-label=${t("search")} placeholder=${t("search")} .value=${registerFilter} @input=${(/** @type {any} */ e) => {
    registerFilter = e.target.value;
    changed();
  }}><div class="table" tabindex="0" role="group" aria-label=${t("registers")}><dl class="facts registers">${names.map((n) => html`<div><dt>${n.replace(/_/g, " ")}</dt><dd>${known(values[n]) ? String(values[n]).replace("-", "−") : UNKNOWN}</dd></div>`)}</dl></div>
  ${names.length ? nothing : html`<p class="note">${t("not_found")}</p>`}` : html`<p class="note">${t("chart_empty")}</p>`));
  return card("registers", t("registers"), body);
}
