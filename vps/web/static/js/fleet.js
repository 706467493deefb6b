// More than one device: in order of who needs help first, with a sentence for each.
import { html, nothing, icon } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed, brokenHop, edgeOf, seconds } from "./store.js";
import { decimal, energyText } from "./format.js";
import { csvButton } from "./table.js";
import { card } from "./widgets.js";
import { deviceName, span, when } from "./shell.js";

const PAGE = 300;
let filter = "";
let helpOnly = false;
let shownRows = PAGE;

const STATES = ["offline", "never", "stale", "delayed", "asleep", "live"];

/** @param {any} d */
const stateText = (d) => t(`state_${STATES.includes(d.state) ? d.state : "unknown"}`);

/** Whether somebody must look after a device: it sends nothing, or what it sent is refused or waits. @param {any} d */
export function needsHelp(d) {
  return !["live", "asleep", "delayed"].includes(d.state) || edgeOf(d).quarantined > 0 || edgeOf(d).spool > 100;
}

/** Devices in order of who needs help first. @param {any[]} devices */
export function byNeed(devices) {
  const rank = (/** @type {any} */ d) => {
    const n = STATES.indexOf(d.state);
    return n < 0 ? 0 : needsHelp(d) ? Math.min(n, 2.5) : n;
  };
  return [...devices].sort((a, b) => rank(a) - rank(b) || (b.age_s || 0) - (a.age_s || 0) || String(a.id).localeCompare(String(b.id)));
}

/** How a device is, in a sentence. @param {any} d */
export function deviceSentence(d) {
  const zone = d.time_zone || "UTC";
  const hop = d.state === "offline" || d.state === "stale" ? brokenHop(d) : null;
  const edge = edgeOf(d);
  if (hop) return t(`broken_${hop.hop}`, { time: when(seconds(hop.since || d.last_sample), zone) });
  if (d.state === "never") return t("fleet_never");
  if (edge.quarantined) return `${t("quarantined")}: ${decimal(edge.quarantined, 0)}.`;
  if (edge.spool > 100) return t("catching_up", { time: span(edge.spool * (d.poll_interval_s || 5)), n: decimal(edge.spool, 0) });
  if (d.state === "live") return t("fleet_live");
  return d.state === "asleep" ? t("fleet_asleep", { time: when(seconds(d.last_sample), zone) }) : t("fleet_late", { time: span(d.age_s || 0) });
}

export function fleetView() {
  const wanted = filter.toLowerCase();
  const needy = state.devices.filter(needsHelp).length;
  const all = byNeed(state.devices).filter((d) => (!helpOnly || needsHelp(d)) && `${d.id} ${d.name || ""} ${d.model || ""}`.toLowerCase().includes(wanted));
  const counts = new Map();
  for (const d of state.devices) counts.set(d.state, (counts.get(d.state) || 0) + 1);
  const order = STATES.filter((s) => counts.has(s));
  return html`<div class="column">${state.sites.length ? card("sites", t("sites"), html`<ul class="fleet">${state.sites.map(fleetRow)}</ul>`) : nothing}
    <section class="card" aria-labelledby="fleet-title"><div class="card-head"><h2 id="fleet-title">${t("all_inverters")} <small>${decimal(state.devices.length, 0)}</small></h2></div>
    <ul class="legend counts">${order.map((s) => html`<li class="pill ${s}">${dot(s)}<b>${counts.get(s)}</b> ${t(`state_${s}`)}</li>`)}</ul>
    <div class="find"><input class="search" type="search" aria-label=${t("search")} placeholder=${t("search")} .value=${filter} @input=${(/** @type {any} */ e) => {
    filter = e.target.value;
    changed();
  }}><button aria-pressed=${helpOnly ? "true" : "false"} @click=${() => {
    helpOnly = !helpOnly;
    changed();
  }}>${t("needs_help")} (${decimal(needy, 0)})</button></div>
    <ul class="fleet">${all.slice(0, shownRows).map(fleetRow)}</ul>
    ${all.length ? nothing : html`<p class="note">${t("not_found")}</p>`}
    ${all.length > shownRows ? html`<button class="wordy" @click=${() => {
    shownRows += PAGE;
    changed();
  }}>${t("more")} (${decimal(all.length - shownRows, 0)})</button>` : nothing}
    <div class="actions">${csvButton(() => fleetTable(all))}</div></section></div>`;
}

/** @param {string} mode */
function dot(mode) {
  return html`<span class="dot" aria-hidden="true">${mode === "asleep" ? icon("moon") : nothing}</span>`;
}

/** @param {any} d @returns {number | null} */
function todayOf(d) {
  return d.today ? d.today.pv_kwh : null;
}

/** @param {any[]} list @returns {import("./table.js").Table} */
function fleetTable(list) {
  return { file: "sunspool-fleet", first: t("inverter"), fields: [[t("model"), ""], [t("state"), ""], [`${t("solar")}, ${t("today")}`, "kWh"], [t("hop_edge"), ""], [t("last_sample"), ""]].map(([name, unit]) => ({ name, unit })),
    rows: list.map((d) => ({ label: deviceName(d), v: [d.model || "", stateText(d), todayOf(d), edgeOf(d).version || "", d.last_sample || ""] })) };
}

/** @param {any} d */
export function fleetRow(d) {
  return html`<li><a href="#now?d=${encodeURIComponent(d.id)}"><span class="name"><b>${deviceName(d)}</b><small>${d.model || ""}</small></span>
    <span class="pill ${d.state}">${dot(d.state)}<b>${stateText(d)}</b>${d.age_s ? html` <span class="age">${span(d.age_s)}</span>` : nothing}</span>
    <span class="kwh">${energyText(todayOf(d))}<small>${t("today")}</small></span><span class="edge"><small>${edgeOf(d).version || ""}</small></span>
    <span class="what">${d.worst && needsHelp(d.worst) ? `${deviceName(d.worst)}: ` : ""}${deviceSentence(d.worst || d)}</span></a></li>`;
}
