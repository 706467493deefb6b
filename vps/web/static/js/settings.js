// Settings: what is kept in this browser, and nothing secret.
import { html, nothing } from "./dom.js";
import { t, LANGUAGES } from "./i18n.js";
import { state, saveSettings, link, currentDevice } from "./store.js";
import { card } from "./widgets.js";
import { useTheme } from "./shell.js";

/** @param {string} name @param {string} title @param {Array<[string, string]>} options @param {(v: string) => void} [after] */
function choice(name, title, options, after) {
  const settings = /** @type {Record<string, string>} */ (state.settings);
  return html`<fieldset><legend>${title}</legend><div class="choice">${options.map(([value, text]) => html`<label>
    <input type="radio" name=${name} value=${value} .checked=${settings[name] === value} @change=${() => {
    saveSettings({ [name]: value });
    if (after) after(value);
  }}><span>${text}</span></label>`)}</div></fieldset>`;
}

/** @param {(lang: string) => void} useLanguage */
export function settingsView(useLanguage) {
  const d = currentDevice();
  return html`<div class="column narrow">${card("settings", t("settings"), html`
    ${choice("lang", t("language"), Object.entries(LANGUAGES), useLanguage)}
    ${choice("theme", t("theme"), [["auto", t("auto")], ["light", t("light")], ["dark", t("dark")]], useTheme)}
    ${choice("unit", t("power_unit"), [["auto", t("auto")], ["W", "W"], ["kW", "kW"]])}
    ${choice("compare", t("compare"), [["none", t("compare_none")], ["previous", t("compare_previous")], ["last_year", t("compare_last_year")]])}
    ${choice("start", t("start_view"), [["auto", t("auto")], ["now", t("tab_now")], ["day", t("tab_day")], ["month", t("tab_month")], ["year", t("tab_year")], ["all", t("tab_all")]])}
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
