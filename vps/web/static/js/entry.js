// Login.
import { html, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./store.js";
import { card } from "./widgets.js";

/** @param {(token: string, kiosk: boolean) => void} logInWith */
export function loginView(logInWith) {
  const submit = (/** @type {SubmitEvent} */ e) => {
    e.preventDefault();
    const form = /** @type {HTMLFormElement} */ (e.target);
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("token"));
    const kiosk = /** @type {HTMLInputElement} */ (form.elements.namedItem("kiosk"));
    if (field.value.trim()) logInWith(field.value.trim(), kiosk.checked);
  };
  return html`<div class="login">${card("login", t("login_title"), html`<p>${t("login_text")}</p>
    <form @submit=${submit}><label for="token">${t("login_field")}</label>
    <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required
      aria-describedby="login-problem" aria-invalid=${state.loginError ? "true" : "false"}>
    <p class="problem" id="login-problem" role="alert">${state.loginError ? state.loginError.text : nothing}</p>
    <label class="check"><input type="checkbox" name="kiosk"> ${t("login_kiosk")}</label>
    <button class="primary" type="submit">${t("log_in")}</button></form>
    <p class="note"><a href="lite">${t("simple_page")}</a></p>`)}</div>`;
}
