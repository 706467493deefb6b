// What the first view does without, more.js: it is loaded when there is nothing else to do, or when it is needed.
import { html, icon } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed, SIZES } from "./store.js";
import { card } from "./widgets.js";

/** @type {typeof import("./more.js") | null} */
let more = null;
/** @type {Promise<void> | null} */
let loading = null;
let missed = 0;

function loadMore() {
  loading = loading || load();
  return loading;
}

/** Loads it when the first view is there, so that no other view has to wait. */
export function loadWhenIdle() {
  const idle = /** @type {any} */ (window).requestIdleCallback || setTimeout;
  setTimeout(() => idle(() => missed || void loadMore()), 1500);
}

async function load() {
  const url = new URL("./more.js", import.meta.url);
  // Some browsers keep that an address could not be loaded.
  if (missed) url.search = String(missed);
  try {
    more = await import(url.href);
    if (more) more.begin(new URLSearchParams(location.search));
  } catch {
    loading = null;
    missed++;
    setTimeout(() => void loadMore(), 30000);
  }
  changed();
}

/** An updated server has other files, which a reload gets. */
async function again() {
  await loadMore();
  if (!more) await loadAgain();
}

/** Loads the page again. The server is asked first, because a page that cannot be reloaded is lost. */
export async function loadAgain() {
  const page = await fetch(location.pathname).catch(() => null);
  if (page && page.ok) location.reload();
}

/** A page that is not of the server's version makes room for one that is, when nobody uses it; a display on the wall does at once. */
export function renewWhenIdle() {
  let outdated = false;
  let used = Date.now();
  addEventListener("newbuild", () => (outdated = true));
  for (const name of ["keydown", "pointerdown", "wheel", "touchmove"]) addEventListener(name, () => (used = Date.now()), { passive: true });
  setInterval(() => {
    if ((outdated || missed > 1) && (state.kiosk || document.hidden || Date.now() - used > 60000)) void loadAgain();
  }, 5000);
}

/** Reports whether this is a site, and sites are not known yet. They are asked for, if there is who could have some. @param {string} id */
export function awaitsSites(id) {
  const known = more && more.sitesKnown();
  if (id[0] !== "!" || known) return false;
  if (!more) void loadMore();
  return true;
}

/** In place of what is not there yet, or could not be loaded. @param {string} title @param {(() => void) | false} [again] */
export function place(title, again) {
  return html`<div class="column">${card("loading", title, again ? html`<div class="hollow curve"><p class="problem">${icon("warn")} ${t("error_unreachable")} <button @click=${again}>${t("retry")}</button></p></div>`
    : html`<div class="hollow curve" aria-busy="true">–</div>`)}</div>`;
}

/** A view other than the first, or its place. @param {string} view @param {string} period @param {(lang: string) => void} useLanguage */
export function otherView(view, period, useLanguage) {
  if (more) return more.viewOf(view, period, useLanguage);
  if (!missed || loading) void loadMore();
  return place(t(view === "fleet" ? "all_inverters" : view in SIZES || view === "all" ? `tab_${view}` : view), missed > 0 && !loading && again);
}

/** A key of somebody who does not wait is taken when there is what it is for. @param {KeyboardEvent} e */
export async function onKeyDown(e) {
  if (!more) await loadMore();
  if (more) more.takeKey(e);
}

/** The help, when it is there. */
export function helpBox() {
  if (!more) void loadMore();
  return more ? more.help() : "";
}
