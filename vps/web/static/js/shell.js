// What is around every view: the header with the state, banners, the tabs, the help.
import { html, nothing, icon } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed, focusOn, serverNow, currentDevice, deviceZone, stateNow, ageNow, seconds, brokenHop, edgeOf, newestSample, link, VIEWS } from "./store.js";
import { isInstant, UNKNOWN, clock, moment, dateText, decimal, NBSP } from "./format.js";
import { localDate } from "./dates.js";
import { reconnect } from "./live.js";

/** A span of time in words: 3 s, 12 min, 5 h, 2 d. @param {number} s */
export function span(s) {
  if (s < 60) return `${Math.floor(s)}${NBSP}s`;
  if (s < 3600) return `${Math.floor(s / 60)}${NBSP}min`;
  if (s < 172800) return s < 36000 && s % 3600 >= 60 ? `${Math.floor(s / 3600)}${NBSP}h ${Math.floor((s % 3600) / 60)}${NBSP}min` : `${Math.floor(s / 3600)}${NBSP}h`;
  return `${Math.floor(s / 86400)}${NBSP}d`;
}

/** @param {number | null} s @param {string} zone time of an instant, with its date if that is not today */
export function when(s, zone) {
  if (!isInstant(s)) return UNKNOWN;
  const [date, today] = [localDate(s, zone), localDate(serverNow(), zone)];
  return date === today ? clock(s, zone) : moment(s, zone, date.slice(0, 4) !== today.slice(0, 4));
}

/** @param {any} d */
export function deviceName(d) {
  return (d && (d.name || d.id)) || "sunspool";
}

function sinceOfState() {
  const s = newestSample();
  const d = currentDevice();
  return s ? s.t : d ? seconds(d.last_sample) : null;
}

function pill() {
  const mode = stateNow();
  const age = ageNow();
  const since = () => t("since", { time: when(sinceOfState(), deviceZone()) });
  const text = ["live", "delayed", "stale"].includes(mode) ? t("ago", { time: span(age || 0) }) : mode === "asleep" || mode === "offline" ? since() : "";
  return html`<a class="pill ${mode}" href=${link("device")}><span class="dot" aria-hidden="true">${mode === "asleep" ? icon("moon") : nothing}</span>
    <b>${t(`state_${mode}`)}</b>${text ? html`<span class="age"> · ${text}</span>` : nothing}</a>`;
}

export function header() {
  const many = state.devices.length > 1;
  const list = many && state.route.view === "fleet";
  const d = list ? null : currentDevice();
  const name = list ? t("all_inverters") : deviceName(d);
  return html`<header>
    <a class="brand" href=${many ? "#fleet" : link("now")} aria-label=${many ? `${name}: ${t("all_inverters")}` : nothing}>${sun()}<h1>${name}</h1>${many ? html`<span class="turn">${icon("right")}</span>` : nothing}</a>
    ${state.kiosk ? html`<p class="wall"><b>${clock(serverNow(), deviceZone())}</b> ${dateText(localDate(serverNow(), deviceZone()), "long")}</p>` : nothing}
    ${state.wide ? tabs() : nothing}
    <span class="right">${d ? pill() : nothing}
    ${state.kiosk || !state.session ? nothing : html`<button class="quiet" aria-expanded=${state.menu ? "true" : "false"} aria-controls="menu" aria-label=${t("menu")}
      @click=${() => turn({ menu: !state.menu })}>${icon("menu")}</button>`}</span>
    ${state.menu ? menu(many) : nothing}</header>`;
}

function sun() {
  return html`<svg class="logo" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 1.5v3M12 19.5v3M1.5 12h3M19.5 12h3M4.6 4.6l2 2M17.4 17.4l2 2M4.6 19.4l2-2M17.4 6.6l2-2"></path><circle cx="12" cy="12" r="5"></circle></svg>`;
}

/** @param {Partial<typeof state>} change */
export function turn(change) {
  Object.assign(state, change);
  if (change.help || change.menu) focusOn(change.help ? "#help-close" : "#menu a");
  else changed();
}

/** @param {boolean} many */
function menu(many) {
  const item = (/** @type {string} */ href, /** @type {string} */ text) => html`<li><a href=${href} @click=${() => turn({ menu: false })}>${text}</a></li>`;
  return html`<nav id="menu" aria-label=${t("menu")}><ul>
    ${many ? item("#fleet", t("all_inverters")) : nothing}${item(link("device"), t("device"))}${item("#settings", t("settings"))}
    <li><button @click=${() => turn({ menu: false, help: true })}>${t("help")}</button></li>
    ${state.session && state.session.role === "admin" ? item("#admin", t("admin")) : nothing}${item("lite", t("simple_page"))}
    ${state.session && !state.session.open ? html`<li><button @click=${() => dispatchEvent(new Event("logout"))}>${t("log_out")}</button></li>` : nothing}</ul></nav>`;
}

/** What is wrong and what to do, one banner at most. */
export function banner() {
  const now = Date.now();
  if (state.lost && now - state.lost > 10000) {
    const wait = Math.max(0, Math.ceil((state.retryAt - now) / 1000));
    return html`<div class="banner bad" role="status">${icon("warn")}<p>${t("lost_server")}${wait > 0 ? ` ${t("retry_in", { time: span(wait) })}` : ""}</p>
      <button @click=${reconnect}>${t("retry_now")}</button></div>`;
  }
  const d = currentDevice();
  if (!d || state.route.view === "fleet") return nothing;
  const mode = stateNow();
  const edge = edgeOf(d);
  if (edge.spool > 100) {
    const minutes = edge.spool * (d.poll_interval_s || 5);
    return html`<div class="banner" role="status">${icon("warn")}<p>${d.of || ""}${t("catching_up", { time: span(minutes), n: decimal(edge.spool, 0) })}</p></div>`;
  }
  if (mode !== "offline" && mode !== "stale") return nothing;
  const hop = brokenHop(d);
  const zone = deviceZone();
  const time = when((hop && seconds(hop.since)) || sinceOfState(), zone);
  const name = hop ? hop.hop : "edge";
  return html`<div class="banner ${mode === "offline" ? "bad" : ""}" role="status">${icon("warn")}<p>${d.of || ""}${t(`broken_${name}`, { time })} ${t(`broken_${name}_do`)}</p></div>`;
}

/** The bar of the views: in the header where there is room, else at the foot of the screen. */
export function tabs() {
  if (state.kiosk || !state.session) return nothing;
  return html`<nav class="tabs" ?inert=${state.help} aria-label=${t("views")}>${VIEWS.map((v) => html`<a href=${link(v)} class=${state.route.view === v ? "here" : ""}
    aria-current=${state.route.view === v ? "page" : "false"}>${t(`tab_${v}`)}</a>`)}</nav>`;
}

/** The note that times are not those of this browser. */
export function zoneNote() {
  const d = currentDevice();
  if (!d || !d.time_zone || !state.ready) return nothing;
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const here = clock(0, mine) + clock(15552000, mine) + clock(serverNow(), mine);
  const there = clock(0, d.time_zone) + clock(15552000, d.time_zone) + clock(serverNow(), d.time_zone);
  return here === there ? nothing : html`<p class="zone">${t("times_in", { zone: d.time_zone })}</p>`;
}

/** Changes of the state for screen readers; not each number. */
export function announcement() {
  const mode = stateNow();
  return html`<p class="unseen" role="status" aria-live="polite">${state.lost && Date.now() - state.lost > 10000 ? t("lost_server") : t(`state_${mode}`)}</p>`;
}

/** @param {string} theme auto, light or dark */
export function useTheme(theme) {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
  dispatchEvent(new Event("themechange"));
}
