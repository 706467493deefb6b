// What the first view does without: the server makes a script of its own of this and what only this imports. app.js loads it
// when there is nothing else to do, or when it is needed.
import { dayView, monthView, yearView } from "./periods.js";
import { allView } from "./all.js";
import { deviceView } from "./device.js";
import { fleetView } from "./fleet.js";
import { settingsView } from "./settings.js";
import { helpCard } from "./help.js";
import { startKiosk, kioskOptions } from "./kiosk.js";
import { onKey, watchSwipes } from "./keys.js";

/** @param {string} name @param {string} period @param {(lang: string) => void} useLanguage */
export function viewOf(name, period, useLanguage) {
  if (name === "day") return dayView(period);
  if (name === "month") return monthView(period);
  if (name === "year") return yearView(period);
  if (name === "device") return deviceView();
  if (name === "fleet") return fleetView();
  return name === "settings" ? settingsView(useLanguage) : allView();
}

export function help() {
  return helpCard();
}

/** @param {KeyboardEvent} e */
export function takeKey(e) {
  onKey(e);
}

/** @param {URLSearchParams} query of the address */
export function begin(query) {
  watchSwipes();
  startKiosk(kioskOptions(query));
}
