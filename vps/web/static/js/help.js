// The help: the keys, and how the numbers are meant.
import { html, icon, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { currentDevice } from "./store.js";
import { turn } from "./shell.js";

const KEYS = [["1 … 5", "views"], ["← →", "key_period"], ["Shift ← →", "key_cursor"], ["+ − 0", "key_zoom"], ["T", "key_today"], ["C", "key_compare"], ["D", "key_theme"],
  ["U", "key_unit"], ["F", "key_full"], ["K", "key_kiosk"], ["?", "help"], ["Esc", "key_close"]];

/** How money is computed, where there are prices. @param {any} tariff of the device on the screen */
function moneyHelp(tariff) {
  return tariff ? html`<h3>${t("help_money")}</h3><p>${t("help_money_text")}</p>${tariff.capacity === "be" ? html`<p>${t("help_capacity_text")}</p>` : nothing}` : nothing;
}

export function helpCard() {
  return html`<div class="veil" @click=${() => turn({ help: false })}></div>
    <div class="help card" role="dialog" aria-modal="true" aria-labelledby="help-title"><div class="card-head"><h2 id="help-title">${t("help")}</h2>
      <button class="quiet" id="help-close" aria-label=${t("key_close")} @click=${() => turn({ help: false })}>${icon("down")}</button></div>
    <dl class="keys">${KEYS.map(([key, name]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(name)}</dd></div>`)}</dl>
    <h3>${t("help_touch")}</h3><p>${t("help_touch_text")}</p>
    <h3>${t("help_flows")}</h3><p>${t("help_flows_text")}</p><h3>${t("help_shares")}</h3><p>${t("help_shares_text")}</p>
    ${moneyHelp((currentDevice() || {}).tariff)}<h3>${t("help_signs")}</h3><p>${t("help_signs_text")}</p></div>`;
}
