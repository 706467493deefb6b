// What the first view does without: the server makes a script of its own of this and what only this imports. app.js loads it
// when there is nothing else to do, or when it is needed. What few see is in scripts of its own, see parts.js.
import { html } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./store.js";
import { card } from "./widgets.js";
import { dayView, monthView, yearView } from "./periods.js";
import { allView } from "./all.js";
import { deviceView } from "./device.js";
import { partView, partOf } from "./parts.js";
import { settingsView } from "./settings.js";
import { helpCard } from "./help.js";
import { startKiosk, kioskOptions } from "./kiosk.js";
import { watchRecent } from "./recent.js";
import { onKey, watchSwipes } from "./keys.js";

/** @param {string} name @param {string} period @param {(lang: string) => void} useLanguage */
export function viewOf(name, period, useLanguage) {
  if (name === "day") return dayView(period);
  if (name === "month") return monthView(period);
  if (name === "year") return yearView(period);
  if (name === "device") return deviceView();
  if (name === "fleet") return partView("sites", (m) => m.fleetPlace());
  if (name === "admin") return adminPlace();
  return name === "settings" ? settingsView(useLanguage) : allView();
}

/** What an admin sees. */
function adminPlace() {
  if (state.session && state.session.role === "admin") return partView("admin", (m) => m.adminView());
  return html`<div class="column narrow">${card("admin", t("admin"), html`<p>${t("admin_only")}</p>`)}</div>`;
}

export function help() {
  return helpCard();
}

/** Asks for the sites, and reports whether there is an answer. */
export function sitesKnown() {
  const p = partOf("sites");
  return p.module ? p.module.askSites() : p.missed > 0;
}

/** @param {KeyboardEvent} e */
export function takeKey(e) {
  onKey(e);
}

/** @param {URLSearchParams} query of the address */
export function begin(query) {
  watchSwipes();
  watchRecent();
  startKiosk(kioskOptions(query));
}
