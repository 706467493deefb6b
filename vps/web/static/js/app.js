// The page begins here: what came with it, which view the address names, what happens when something changes.
import { html, render, attempt } from "./dom.js";
import { t, loadWords, setWords } from "./i18n.js";
import { state, onChange, changed, currentDevice, loadSettings, parseRoute, startView, SIZES, stateNow, seconds, serverNow } from "./store.js";
import { startApi, ask, logIn, logOut, forgetAnswers, expireSome, ApiError } from "./api.js";
import { setLocale, languageOf } from "./format.js";
import { noteZone } from "./dates.js";
import { definePlot, loadPlots, afterPaint } from "./plot.js";
import { moveStreams } from "./flow.js";
import { follow, stopFollowing, takeRealtime, watchVisibility, askDevices } from "./live.js";
import { header, banner, tabs, zoneNote, announcement, useTheme } from "./shell.js";
import { nowView, firstQuestions, todayDate } from "./now.js";
import { loginView } from "./entry.js";
import { broken, card, fitWall, holdBack, whenKnown } from "./widgets.js";
import { loadWhenIdle, awaitsSites, place, otherView, helpBox, renewWhenIdle, onKeyDown } from "./later.js";

/** @type {any} */
let boot = {};

/** The period on the screen, that of today if the address has none. */
function period() {
  const size = SIZES[state.route.view];
  return state.route.date || todayDate().slice(0, size);
}

function view() {
  const v = state.route.view;
  if (!state.session) return loginView(enter);
  if (v === "settings" || v === "admin") return otherView(v, "", useLanguage);
  const devices = askDevices(["live", "asleep"].includes(stateNow()), v === "fleet");
  chooseDevice();
  if (state.device && !currentDevice()) return place("sunspool");
  if (!state.device) return html`<div class="column narrow">${devices.data ? noDevice() : card("empty", "sunspool", whenKnown(devices, () => ""))}</div>`;
  follow(state.device, leave);
  if (stateNow() === "never" && !["device", "fleet"].includes(v)) return html`<div class="column narrow">${noDevice()}</div>`;
  const first = v === "now" || v === "login" || (v === "fleet" && state.devices.length < 2);
  return first ? nowView() : otherView(v, period(), useLanguage);
}

/** What to do first. The edge takes https alone. */
function noDevice() {
  return card("empty", t("no_device"), html`<p>${t("no_device_text")}</p>
    <pre tabindex="0">SUNGROW_HOST=192.0.2.10 \\
DEVICE_ID=${state.device || "roof"} \\
VPS_BASE_URL=https://${location.host} \\
VPS_DEVICE_TOKEN=… \\
sunspool edge</pre><p class="note">${t("no_device_wait")}</p>`);
}

/** Three parts, so that an age that grows does not draw the charts again. */
const above = document.createElement("div");
const middle = document.createElement("div");
const under = document.createElement("div");
let drawn = "";

/** What the view shows of time itself: the state, and the minute. */
function moment60() {
  return `${stateNow()} ${Math.floor(serverNow() / 60)}`;
}

/** @param {boolean} all */
function draw(all) {
  const root = document.getElementById("app");
  if (!root) return;
  if (!above.isConnected) root.append(above, middle, under);
  chooseDevice();
  if (all || drawn !== moment60()) {
    const content = attempt(view, () => html`<div class="column narrow">${card("broken", "sunspool", broken())}</div>`);
    drawn = moment60();
    document.body.classList.toggle("kiosk", state.kiosk);
    render(html`<main id="main" tabindex="-1" ?inert=${state.help} class="view-${state.route.view}">${content}${zoneNote()}</main>`, middle);
    holdBack(middle);
  }
  above.toggleAttribute("inert", state.help);
  render(html`<a class="skip" href="#main" @click=${skip}>${t("skip")}</a>${header()}${banner()}`, above);
  render(html`${state.wide ? "" : tabs()}${state.help ? helpBox() : ""}${announcement()}`, under);
  if (state.kiosk) fitWall();
}

/** @param {Event} e */
function skip(e) {
  e.preventDefault();
  const main = document.getElementById("main");
  if (main) main.focus();
}

function chooseDevice() {
  // Without an address the view depends on how many devices there are, which may not be known at first.
  if (!location.hash) state.route = parseRoute("", startView());
  const [any, second] = state.devices;
  // One that has a token and no samples yet hides none of the others.
  const first = state.devices.find((d) => d.state !== "never") || any;
  for (const id of [state.route.device, state.device, first ? first.id : ""]) {
    state.device = id;
    if (second && awaitsSites(id) || currentDevice()) return;
  }
}

/** @param {string} lang */
async function useLanguage(lang) {
  await loadWords(boot.assets || "", lang);
  setLocale(lang);
  document.documentElement.lang = lang;
  dispatchEvent(new Event("themechange"));
  changed();
}

/** @param {string} token @param {boolean} kiosk */
async function enter(token, kiosk) {
  try {
    state.session = await logIn(token, kiosk);
    state.loginError = null;
    state.kiosk = state.kiosk || kiosk;
    forgetAnswers();
  } catch (e) {
    const status = e instanceof ApiError ? e.status : 0;
    state.loginError = { kind: String(status), text: t(status === 0 ? "error_unreachable" : status === 429 ? "login_too_many" : "login_wrong") };
  }
  changed();
}

/** The session is over: revoked, expired, or ended. */
function leave() {
  if (!state.session) return;
  stopFollowing();
  forgetAnswers();
  Object.assign(state, { session: null, devices: [], sites: [], device: "", samples: [], today: null, told: null, lost: 0 });
  state.loginError = { kind: "over", text: t("session_over") };
  changed();
}

async function quit() {
  try {
    await logOut();
  } catch {
    // It is over here in any case.
  }
  leave();
  state.menu = false;
  state.loginError = null;
  changed();
}

/** A link with a token in its fragment, which no server and no log gets. */
async function tokenInAddress() {
  const found = /^#t=([^&?]+)/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname + location.search);
  await enter(decodeURIComponent(found[1]), state.kiosk);
}

function onHash() {
  const before = state.route;
  state.route = parseRoute(location.hash, startView());
  state.menu = false;
  if (before.view !== state.route.view) scrollTo(0, 0);
  changed();
}

function takeBoot() {
  const node = document.getElementById("boot");
  try {
    boot = JSON.parse((node && node.textContent) || "{}");
  } catch {
    boot = {};
  }
  state.session = boot.session || null;
  state.build = boot.build || "";
  const first = boot.answers || {};
  for (const a of Object.values(first)) noteZone(a);
  const devices = first["/v1/devices"];
  if (devices && devices.devices) {
    const now = seconds(devices.server && devices.server.time);
    if (now) state.ahead = now * 1000 - Date.now();
    state.devices = devices.devices;
  }
  startApi(first, () => changed(), leave);
}

async function takeWords() {
  const lang = languageOf(new URLSearchParams(location.search).get("lang"), state.settings.lang, boot.lang, document.documentElement.lang) || "en";
  state.settings.lang = lang;
  if (boot.words && lang === boot.lang) setWords(boot.words);
  else await loadWords(boot.assets || "", lang);
  setLocale(lang);
  document.documentElement.lang = lang;
}

function listen() {
  addEventListener("hashchange", onHash);
  addEventListener("later", () => changed());
  addEventListener("logout", () => void quit());
  addEventListener("live", (e) => {
    state.tables[/** @type {CustomEvent} */ (e).detail ? "add" : "delete"]("live-open");
    changed();
  });
  addEventListener("keydown", (e) => void onKeyDown(e));
  const wide = matchMedia("(min-width: 900px)");
  state.wide = wide.matches;
  wide.addEventListener("change", () => {
    state.wide = wide.matches;
    changed();
  });
  addEventListener("beforeprint", () => drawForPrint(true));
  addEventListener("afterprint", () => drawForPrint(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => useTheme(state.settings.theme));
  watchVisibility();
  renewWhenIdle();
  // Ages grow without anybody's doing.
  setInterval(() => document.hidden || changed(true), 1000);
  setInterval(() => document.hidden || expireSome("/v1/energy", 290), 60000);
}

/** What is printed is drawn before this returns, with its tables, on white. @param {boolean} now */
function drawForPrint(now) {
  state.printing = now;
  useTheme(now ? "light" : state.settings.theme);
  draw(true);
}

async function start() {
  loadSettings();
  takeBoot();
  const query = new URLSearchParams(location.search);
  state.kiosk = query.get("kiosk") === "1";
  state.lowPower = query.has("lowpower");
  if (state.lowPower) document.documentElement.classList.add("lowpower");
  await takeWords();
  useTheme(state.settings.theme);
  definePlot();
  listen();
  onChange(draw);
  await tokenInAddress();
  state.route = parseRoute(location.hash, startView());
  chooseDevice();
  if (state.session && state.device) takeRealtime(ask(firstQuestions().realtime, 60).data);
  draw(true);
  afterPaint(() => void loadPlots(() => {
    state.ready = true;
    changed();
    loadWhenIdle();
  }));
  moveStreams();
}

// After all modules are evaluated, in whatever order they are joined.
queueMicrotask(() => void start());
