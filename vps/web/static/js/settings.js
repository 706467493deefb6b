// Settings: what is kept in this browser, and nothing secret.
import { html, nothing } from "./dom.js";
import { t, LANGUAGES } from "./i18n.js";
import { state, saveSettings, link, currentDevice } from "./store.js";
import { card } from "./widgets.js";
import { useTheme } from "./shell.js";

/** One of several. @param {string} name @param {string} title @param {string[][]} options @param {string} now @param {(v: string) => void} set */
export function choice(name, title, options, now, set) {
  return html`<fieldset><legend>${title}</legend><div class="choice">${options.map(([value, text]) => html`<label>
    <input type="radio" name=${name} value=${value} .checked=${now === value} @change=${() => set(value)}><span>${text}</span></label>`)}</div></fieldset>`;
}

/** @param {string} name @param {string} title @param {string[][]} options @param {(v: string) => void} [after] */
function setting(name, title, options, after) {
  return choice(name, title, options, /** @type {Record<string, string>} */ (state.settings)[name], (v) => {
    saveSettings({ [name]: v });
    if (after) after(v);
  });
}

/** @param {(lang: string) => void} useLanguage */
export function settingsView(useLanguage) {
  const d = currentDevice();
  return html`<div class="column narrow">${card("settings", t("settings"), html`
    ${setting("lang", t("language"), Object.entries(LANGUAGES), useLanguage)}
    ${setting("theme", t("theme"), [["auto", t("auto")], ["light", t("light")], ["dark", t("dark")]], useTheme)}
    ${setting("unit", t("power_unit"), [["auto", t("auto")], ["W", "W"], ["kW", "kW"]])}
    ${setting("compare", t("compare"), [["none", t("compare_none")], ["previous", t("compare_previous")], ["last_year", t("compare_last_year")]])}
    ${setting("start", t("start_view"), [["auto", t("auto")], ["now", t("tab_now")], ["day", t("tab_day")], ["month", t("tab_month")], ["year", t("tab_year")], ["all", t("tab_all")]])}
    <p class="note">${t("settings_note")}</p>
    <button @click=${() => {
    state.kiosk = true;
    location.hash = link("now");
  }}>${t("key_kiosk")}</button>`)}
  ${card("about", t("about"), html`<dl class="facts"><div><dt>sunspool</dt><dd>${state.build || "–"}</dd></div>
    ${d ? html`<div><dt>${t("time_zone")}</dt><dd>${d.time_zone || "–"}</dd></div>` : nothing}
    ${state.session ? html`<div><dt>${t("role")}</dt><dd>${state.session.role || "–"}</dd></div>` : nothing}</dl>
    <p class="note"><a href="openapi.yaml">openapi.yaml</a></p>`)}</div>`;
}
