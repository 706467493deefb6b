// More than one device: in order of who needs help first.
import { html, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed, byNeed, brokenHop, seconds } from "./store.js";
import { ask } from "./api.js";
import { known, decimal, UNKNOWN, energyText } from "./format.js";
import { deviceName, span, when } from "./shell.js";

const PAGE = 50;
let filter = "";
let shownRows = PAGE;

/** What is wrong with a device, in a sentence. @param {any} d */
function sentence(d) {
  const hop = d.state === "offline" || d.state === "stale" ? brokenHop(d) : null;
  if (hop) return t(`broken_${hop.hop}`, { time: when(seconds(hop.since || d.last_sample), d.time_zone || "UTC") });
  if (d.state === "never") return t("no_device");
  const edge = (d.chain || []).find((/** @type {any} */ h) => h && h.hop === "edge") || {};
  if (edge.quarantined) return `${t("quarantined")}: ${decimal(edge.quarantined, 0)}`;
  if (edge.spool > 100) return `${t("samples_waiting")}: ${decimal(edge.spool, 0)}`;
  return "";
}

export function fleetView() {
  const wanted = filter.toLowerCase();
  const all = byNeed(state.devices).filter((d) => `${d.id} ${d.name || ""} ${d.model || ""}`.toLowerCase().includes(wanted));
  const counts = new Map();
  for (const d of state.devices) counts.set(d.state, (counts.get(d.state) || 0) + 1);
  const order = ["offline", "never", "stale", "delayed", "asleep", "live"].filter((s) => counts.has(s));
  return html`<div class="column"><section class="card" aria-labelledby="fleet-title"><div class="card-head"><h2 id="fleet-title">${t("all_inverters")} <small>${decimal(state.devices.length, 0)}</small></h2></div>
    <ul class="legend counts">${order.map((s) => html`<li class="pill ${s}"><span class="dot"></span><b>${counts.get(s)}</b> ${t(`state_${s}`)}</li>`)}</ul>
    ${state.devices.length > 8 ? html`<input class="search" type="search" aria-label=${t("search")} placeholder=${t("search")} .value=${filter} @input=${(/** @type {any} */ e) => {
    filter = e.target.value;
    shownRows = PAGE;
    changed();
  }}>` : nothing}
    <ul class="fleet">${all.slice(0, shownRows).map((d, i) => fleetRow(d, i < 30))}</ul>
    ${all.length ? nothing : html`<p class="note">${t("not_found")}</p>`}
    ${all.length > shownRows ? html`<button class="wordy" @click=${() => {
    shownRows += 100;
    changed();
  }}>${t("more")} (${decimal(all.length - shownRows, 0)})</button>` : nothing}</section></div>`;
}

/** @param {any} d @param {boolean} withEnergy */
function fleetRow(d, withEnergy) {
  const edge = (d.chain || []).find((/** @type {any} */ h) => h && h.hop === "edge") || {};
  const r = withEnergy && d.state !== "never" ? ask(`/v1/realtime?device_id=${encodeURIComponent(d.id)}`, 120).data : null;
  const today = r && d.state !== "offline" ? energyText(r.pv_daily_kwh) : UNKNOWN;
  const what = sentence(d);
  return html`<li><a href="#now?d=${encodeURIComponent(d.id)}"><span class="name"><b>${deviceName(d)}</b><small>${d.model || ""}</small></span>
    <span class="pill ${d.state}"><span class="dot" aria-hidden="true"></span><b>${t(`state_${d.state}`)}</b>${known(d.age_s) ? html` <span class="age">${span(d.age_s)}</span>` : nothing}</span>
    <span class="kwh">${today}<small>${t("today")}</small></span><span class="edge"><small>${edge.version || ""}</small></span>
    ${what ? html`<span class="what">${what}</span>` : nothing}</a></li>`;
}
