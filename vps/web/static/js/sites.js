// Sites: several inverters that are looked at like one. What the page needs to know of a device it computes of them here; the
// values are sums of the server's. The server makes a script of its own of this, which who has several inverters loads.
import { html, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { state, currentDevice, seconds, forDevice } from "./store.js";
import { ask } from "./api.js";
import { known, dateText } from "./format.js";
import { localDate } from "./dates.js";
import { added, card } from "./widgets.js";
import { deviceName } from "./shell.js";
import { askDevices } from "./live.js";
import { todayDate } from "./now.js";
import { byNeed, fleetRow, fleetView } from "./fleet.js";

// The best first, as the server's.
const WORST = ["asleep", "live", "delayed", "stale", "offline", "never"];

/** A site as the page sees a device. Its first day is that from which all of its devices have sums. Pure. @param {{ name: string, devices: string[] }} site @param {any[]} devices */
export function siteDevice(site, devices) {
  const members = devices.filter((d) => site.devices.includes(d.id));
  const has = (/** @type {string} */ what) => !members.length || members.some((d) => !d.capabilities || d.capabilities[what] !== false);
  const of = (/** @type {string} */ time) => members.map((d) => d[time]).filter(Boolean).sort();
  const [worst] = byNeed(members);
  const [late] = byNeed(members.filter((d) => d.state !== "never"));
  const pv = members.map((d) => d.today && d.today.pv_kwh);
  const whole = members.length === site.devices.length;
  const { tariff } = members[0] || {}; // its currency is that of all: the server has one file of prices
  const mode = members.map((d) => d.state).sort((a, b) => WORST.indexOf(b) - WORST.indexOf(a))[0];
  return { id: `!${site.name}`, name: site.name, members: site.devices, worst, of: `${deviceName(late || site)}: `, chain: late && late.chain,
    model: site.devices.length > 5 ? t("n_inverters", { n: site.devices.length }) : members.map(deviceName).join(", "), time_zone: (members[0] || {}).time_zone,
    capabilities: { battery: has("battery"), grid: has("grid"), load: has("load") }, tariff: tariff && { currency: tariff.currency },
    poll_interval_s: Math.max(0, ...members.map((d) => d.poll_interval_s || 0)), first_sample: of("first_sample").pop() || null,
    last_sample: of("last_sample")[0] || null,
    age_s: mode === "never" ? null : Math.max(0, ...members.map((d) => (d.state === "asleep" ? 0 : d.age_s || 0))), state: mode,
    today: { pv_kwh: whole && pv.every(known) ? pv.reduce((sum, v) => sum + v, 0) : null } };
}

/** Asks for the sites, and reports whether there is an answer. */
export function askSites() {
  const a = ask("/v1/sites", 120);
  const all = a.data && Array.isArray(a.data.sites) ? a.data.sites : [];
  state.sites = all.filter((/** @type {any} */ s) => s && s.name && Array.isArray(s.devices)).map((/** @type {any} */ s) => siteDevice(s, state.devices));
  return Boolean(a.data || a.error);
}

const WORDS = /** @type {Array<[RegExp, string]>} */ ([[/^pv_(w|kwh|power_w|daily_kwh)$/, "solar"], [/^load_(w|kwh|power_w)$/, "used"], [/^(grid_(w|power_w)|(import|export)_kwh)$/, "grid"],
  [/^(battery_(w|power_w)|(dis)?charge_kwh)$/, "battery"], [/^(battery_)?soc_pct$/, "soc"], [/^(cost|saved)$/, "cost"]]);

/** What columns are of, in words; what follows from others is left out if there are others. Pure. @param {string[]} columns */
export function columnWords(columns) {
  const found = columns.map((c) => (WORDS.find(([pattern]) => pattern.test(c)) || [])[1]).filter(Boolean);
  return [...new Set(found.length ? found : ["shares_and_flows"])].map((w) => t(String(w)));
}

/** Which columns of an answer are null because of a device, by its id. Pure. @param {any} a @param {boolean} totals whether these alone are shown */
export function lackingOf(a, totals) {
  const isNull = (/** @type {string} */ c) => !totals || !known((a.totals || {})[c]);
  return Object.entries(a.incomplete || {}).map(([id, columns]) => [id, (Array.isArray(columns) ? columns : []).filter(isNull)]).filter(([, columns]) => columns.length);
}

/** Who is missing in an answer about a site; without one, in the newest values. @param {any} a @param {string} [cls] */
function note(a, cls = "") {
  const d = currentDevice();
  if (!d || !d.of || a && !cls) return nothing;
  const today = todayDate();
  // An answer about several days does not say on which of them somebody is missing.
  const of = !a ? ask(forDevice("/v1/realtime", {}), 60) : cls === "today" && state.route.view === "now" ? ask(forDevice("/v1/energy", { resolution: "day", from: today, to: today, compare: "previous" }), 600) : { data: a };
  const nameOf = (/** @type {any} */ id) => deviceName(state.devices.find((x) => x.id === id) || { id });
  return lackingOf(of.data || {}, cls === "today").map(([id, columns]) => html`<p class="note">${t("site_missing", { name: nameOf(id), what: columnWords(/** @type {string[]} */ (columns)).join(", ") })}</p>`);
}

added.note = note;

/** More than one device. */
export function fleetPlace() {
  return fleetView();
}

/** @param {any} d a site */
export function siteView(d) {
  askDevices(true, true);
  const zone = d.time_zone || "UTC";
  const since = seconds(d.first_sample);
  const members = byNeed(state.devices.filter((x) => d.members.includes(x.id)));
  return html`<div class="column"><section class="card" id="site" aria-labelledby="site-title"><div class="card-head"><h2 id="site-title">${d.name} <small>${d.model}</small></h2></div>
    <ul class="fleet">${members.map(fleetRow)}</ul></section>
    ${card("sums", t("sites"), html`<p>${t("site_text")}</p><p class="note">${t("site_limits")}</p>
    ${known(since) ? html`<p class="note">${t("totals_since", { date: dateText(localDate(since, zone), "full") })}</p>` : nothing}`)}</div>`;
}
