// What an admin sees: who has a token, and when the last backup was made. The server makes a script of its own of this, which
// more.js loads. A secret is in a variable alone, until the view is left.
import { html, nothing, icon } from "./dom.js";
import { t, filled } from "./i18n.js";
import { state, changed, focusOn, serverNow, deviceZone, seconds } from "./store.js";
import { ask, get, refresh, ApiError } from "./api.js";
import { known, decimal, UNKNOWN, NBSP } from "./format.js";
import { addDays, isDate, localDate } from "./dates.js";
import { card, columns, problemText, whenKnown } from "./widgets.js";
import { deviceName, when } from "./shell.js";
import { askDevices } from "./live.js";
import { choice } from "./settings.js";

/** @type {Record<string, string>} */
let adminWords = {};
let wordsOf = "";
/** What was created, and in which session. @type {any} */
let newest = null;
let copied = "";
let role = "viewer";
let expiry = "never";
let everyDevice = true;
let busy = false;
let problem = "";
/** The token that somebody wants to revoke, and what went wrong with it. */
let revoking = "";
let revokeProblem = "";

/** A word of this view. @param {string} key @param {Record<string, string | number>} [values] */
const w = (key, values) => filled(adminWords[key] || key, values);

async function takeAdminWords() {
  const lang = wordsOf = state.settings.lang;
  const response = await fetch(import.meta.url.replace(/(js\/)?admin\.js.*/, `i18n/admin/${lang}.json`)).catch(() => null);
  if (response && response.ok) adminWords = await response.json();
  changed();
}

function forget() {
  newest = null;
  copied = problem = revoking = revokeProblem = "";
}
addEventListener("hashchange", forget);
addEventListener("pagehide", forget);

export function adminView() {
  if (wordsOf !== state.settings.lang) void takeAdminWords();
  if (!adminWords.tokens) return html`<div class="column">${card("loading", t("admin"), html`<div class="hollow curve" aria-busy="true">–</div>`)}</div>`;
  if (newest && newest.session !== state.session) forget();
  askDevices(true, false);
  const list = ask("/v1/tokens", 30);
  return columns([
    ["left", () => (newest ? madeCard() : formCard(list))],
    ["right", () => tokensCard(list)],
    ["left", () => backupCard(ask("/v1/backup", 60))],
  ], 3);
}

const REFUSALS = /** @type {Record<string, string>} */ ({ token_name_taken: "name_taken", too_many_tokens: "tokens_full", no_such_token: "token_gone", token_invalid: "token_unfit", cross_origin: "cross_origin" });

/** What went wrong, in words. @param {any} e */
const trouble = (e) => (REFUSALS[e.code] ? w(REFUSALS[e.code]) : problemText(e));

/** Asks for a change, and for the list then. If the session is over, that shows it. @param {string} url @param {RequestInit} init @param {import("./api.js").Answer} list */
async function change(url, init, list) {
  busy = true;
  changed();
  try {
    return await get(url, init);
  } finally {
    busy = false;
    void refresh(list);
    changed();
  }
}

// ---- A new one

/** The instant at which a day of a zone is over. Pure. @param {string} date @param {string} zone */
export function endOfDay(date, zone) {
  let s = Date.parse(`${addDays(date, 1)}T00:00:00Z`) / 1000 - 50400;
  while (localDate(s, zone) <= date) s += 900;
  return s;
}

/** What is asked for, or why it cannot be. Pure. @param {{ role: string, name: string, all: boolean, devices: string[], other: string, expiry: string, date: string }} f @param {number} now @param {string} zone */
export function wishOf(f, now, zone) {
  const name = f.name.trim();
  const other = f.other.split(/[\s,]+/).filter(Boolean);
  const all = f.role === "viewer" && f.all;
  const devices = f.role === "admin" ? undefined : all ? ["*"] : [...new Set([...f.devices, ...other])];
  const at = f.expiry === "never" ? undefined : f.expiry === "date" ? (isDate(f.date) && f.date.length === 10 ? endOfDay(f.date, zone) : 0) : now + Number(f.expiry) * 86400;
  if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,100}$/u.test(name)) return { why: "need_name" };
  if (devices && !all && (!devices.length || devices.some((d) => !/^[\w.~-]{1,64}$/.test(d)))) return { why: devices.length ? "bad_device" : "need_devices" };
  if (at !== undefined && !(at > now && at < 2e11)) return { why: "need_date" };
  return { wish: { role: f.role, name, devices, expires: at && new Date(at * 1000).toISOString() } };
}

/** @param {SubmitEvent} e @param {import("./api.js").Answer} list */
async function create(e, list) {
  e.preventDefault();
  if (busy) return;
  const form = /** @type {HTMLFormElement} */ (e.target);
  const data = new FormData(form);
  const text = (/** @type {string} */ name) => String(data.get(name) || "");
  const { wish, why } = wishOf({ role, name: text("name"), all: everyDevice, devices: data.getAll("device").map(String), other: text("other"), expiry, date: text("date") }, serverNow(), deviceZone());
  problem = why ? w(why) : "";
  if (!wish) return changed();
  const session = state.session;
  try {
    const answer = await change("/v1/tokens", { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ ...wish, page: location.origin + location.pathname }) }, list);
    if (!answer || !answer.secret || !answer.token) throw new ApiError(502, "", "");
    form.reset();
    // Whoever has left the view meanwhile finds the token in the list, and revokes it.
    if (state.route.view !== "admin") return;
    newest = { ...answer, session };
    focusOn("#made-title");
  } catch (x) {
    problem = trouble(x);
    changed();
  }
}

/** @param {import("./api.js").Answer} list */
function formCard(list) {
  const tick = (/** @type {string[]} */ ids) => {
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#new-token [name=device]"))) box.checked = ids.includes(box.value);
  };
  const pick = role !== "admin" && (role === "device" || !everyDevice);
  return html`<details class="card" id="new-token"><summary><h2>${w("token_new")}</h2></summary>
    <form class="token-form" @submit=${(/** @type {SubmitEvent} */ e) => void create(e, list)} novalidate autocomplete="off">
    ${choice("role", t("role"), [["viewer", w("role_viewer")], ["device", w("role_device")], ["admin", w("role_admin")]], role, (v) => changed(void (role = v)))}
    <p class="note">${w(`may_${role}`)}</p>
    <label for="token-name">${w("name")}</label><input id="token-name" class="search" name="name" maxlength="200" dir="auto" autocomplete="off" placeholder=${w("name_hint")} aria-describedby="token-problem">
    ${role === "viewer" ? choice("all", w("of_what"), [["all", t("all_inverters")], ["some", w("some_inverters")]], everyDevice ? "all" : "some", (v) => changed(void (everyDevice = v === "all"))) : nothing}
    ${pick ? html`<fieldset><legend>${w("which")}</legend>
      ${state.sites.length ? html`<div class="actions">${state.sites.map((s) => html`<button type="button" @click=${() => tick(s.members)}>${s.name}</button>`)}</div>` : nothing}
      <div class="pick">${state.devices.map((d) => html`<label class="check"><input type="checkbox" name="device" value=${d.id}> <bdi>${deviceName(d)}</bdi></label>`)}</div></fieldset>
      <label for="token-other">${w("other_inverters")}</label><input id="token-other" class="search" name="other" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="token-problem">` : nothing}
    ${choice("expiry", w("valid"), [["never", w("no_end")], ["30", t("n_days", { n: 30 })], ["365", w("a_year")], ["date", w("until_day")]], expiry, (v) => changed(void (expiry = v)))}
    ${expiry === "date" ? html`<input class="search" type="date" name="date" aria-label=${w("until_day")} min=${localDate(serverNow(), deviceZone())} aria-describedby="token-problem">` : nothing}
    <p class="problem" id="token-problem" role="alert">${problem || nothing}</p>
    <button class="primary" type="submit" ?disabled=${busy}>${w("create")}</button></form></details>`;
}

/** @param {string} id @param {string} text */
async function copy(id, text) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard, but there is the selection.
    const range = document.createRange();
    range.selectNodeContents(/** @type {Node} */ (document.getElementById(id)));
    const selection = getSelection();
    if (selection) selection.removeAllRanges();
    if (selection) selection.addRange(range);
    done = document.execCommand("copy");
  }
  copied = done ? id : "copy_failed";
  changed();
}

/** @param {string} id @param {string} title @param {string} text */
function secretText(id, title, text) {
  return html`<p class="secret-title">${title}</p><div class="secret"><code id=${id} tabindex="0" translate="no">${text}</code>
    <button @click=${() => void copy(id, text)} aria-label="${w("copy")}: ${title}">${copied === id ? w("copied") : w("copy")}</button></div>`;
}

function madeCard() {
  const { secret, token, login } = newest;
  return html`<section class="card" id="made" aria-labelledby="made-title"><div class="card-head"><h2 id="made-title" tabindex="-1">${w("made")}: <bdi>${token.name}</bdi></h2></div>
    <p>${icon("warn")} ${w("once")}</p>
    ${secretText("made-secret", w("secret"), secret)}
    ${login && login.qr ? html`${secretText("made-link", w("link"), login.link)}<p class="secret-title">${w("scan")}</p>
      <svg class="qr" viewBox="0 0 ${Number(login.qr.size)} ${Number(login.qr.size)}" role="img" aria-label=${w("scan")}><path d=${login.qr.path}></path></svg>` : nothing}
    ${token.role === "device" ? secretText("made-edge", w("edge_setting"), `VPS_DEVICE_TOKEN=${secret}`) : nothing}
    <p class=${copied === "copy_failed" ? "note" : "unseen"} role="status">${copied ? w(copied === "copy_failed" ? copied : "copied") : ""}</p>
    <div class="actions"><button class="primary" @click=${() => {
    forget();
    focusOn("#tokens-title");
  }}>${w("done")}</button></div></section>`;
}

// ---- Those that there are

/** How a token is: valid, expired or revoked, the best first. Pure. @param {any} token @param {number} now */
export function tokenState(token, now) {
  const ends = seconds(token.expires);
  return token.revoked ? "revoked" : known(ends) && ends <= now ? "expired" : "valid";
}

/** @param {import("./api.js").Answer} list */
function tokensCard(list) {
  return html`<section class="card" id="tokens" aria-labelledby="tokens-title"><div class="card-head"><h2 id="tokens-title" tabindex="-1">${w("tokens")}</h2></div>
    ${whenKnown(list, (a) => {
    const all = (Array.isArray(a.tokens) ? a.tokens : []).filter((/** @type {any} */ x) => x && x.id).reverse();
    const good = all.filter((/** @type {any} */ x) => tokenState(x, serverNow()) === "valid");
    const ended = all.filter((/** @type {any} */ x) => !good.includes(x));
    return html`${good.length ? html`<ul class="tokens">${good.map((/** @type {any} */ x) => tokenRow(x, list))}</ul>` : html`<p>${w("tokens_none")}</p>`}
      ${ended.length ? html`<details><summary>${w("ended")} (${ended.length})</summary><ul class="tokens ended">${ended.map((/** @type {any} */ x) => tokenRow(x, list))}</ul></details>` : nothing}<p class="note">${w("tokens_note")}</p>`;
  }, "bars")}</section>`;
}

/** @param {any} x @param {import("./api.js").Answer} list */
function tokenRow(x, list) {
  const zone = deviceZone();
  const time = (/** @type {any} */ at) => when(seconds(at), zone);
  const mode = tokenState(x, serverNow());
  const devices = x.role === "admin" || !Array.isArray(x.devices) ? t("all_inverters") : x.devices.slice(0, 6).join(", ") + (x.devices.length > 6 ? ` +${x.devices.length - 6}` : "");
  const end = mode === "valid" ? (x.expires ? t("until", { time: time(x.expires) }) : w("no_end")) : w(mode, { time: time(x.revoked || x.expires) });
  return html`<li class=${mode}><div class="who"><b><bdi>${x.name}</bdi></b>${x.own ? html` <small>(${w("own")})</small>` : nothing}
    <small>${w(`role_${x.role}`)} · ${devices}</small></div>
    <dl><div><dt>${w("created")}</dt><dd>${time(x.created)}</dd></div><div><dt>${w("used")}</dt><dd>${x.used ? time(x.used) : w("never")}</dd></div><div><dt>${w("valid")}</dt><dd>${end}</dd></div></dl>
    ${mode !== "valid" ? nothing : revoking === x.id ? revokeQuestion(x, list) : html`<button id="revoke-${x.id}" aria-label="${w("revoke")}: ${x.name}" @click=${() => {
    revoking = x.id;
    revokeProblem = "";
    focusOn("#revoke-no");
  }}>${w("revoke")}</button>`}</li>`;
}

/** @param {any} x @param {import("./api.js").Answer} list */
function revokeQuestion(x, list) {
  const no = () => {
    revoking = "";
    focusOn(`#revoke-${x.id}`);
  };
  const yes = async () => {
    if (busy) return;
    try {
      await change(`/v1/tokens/${encodeURIComponent(x.id)}`, { method: "DELETE" }, list);
      revoking = "";
      focusOn("#tokens-title");
    } catch (e) {
      revokeProblem = trouble(e);
      changed();
    }
  };
  return html`<div class="ask" role="alertdialog" aria-labelledby="revoke-text" @keydown=${(/** @type {KeyboardEvent} */ e) => e.key === "Escape" && no()}><p id="revoke-text">${icon("warn")} ${w("revoke_ask")} ${x.own ? w("revoke_own") : ""}</p>
    <p class="problem" role="alert">${revokeProblem || nothing}</p>
    <div class="actions"><button class="primary" ?disabled=${busy} @click=${() => void yes()}>${w("revoke")}</button><button id="revoke-no" @click=${no}>${w("cancel")}</button></div></div>`;
}

// ---- Backups

const OLD_S = 8 * 86400; // of one every week

/** @param {any} b @param {string} title @param {string} zone */
function backupFacts(b, title, zone) {
  const count = (/** @type {any} */ n) => (known(n) ? decimal(n, 0) : UNKNOWN);
  const rows = [[title, when(seconds(b.at), zone)], [w("size"), known(b.bytes) ? `${decimal(b.bytes / 1048576, b.bytes < 1e8 ? 1 : 0)}${NBSP}MiB` : UNKNOWN], [w("inverters"), count(b.devices)],
    [w("samples"), count(b.samples)], [t("last_sample"), when(seconds(b.newest), zone)]];
  return html`<dl class="facts">${rows.map(([name, v]) => html`<div><dt>${name}</dt><dd>${v}</dd></div>`)}</dl>`;
}

/** @param {import("./api.js").Answer} a */
function backupCard(a) {
  const zone = deviceZone();
  return card("backup", w("backup"), whenKnown(a, (b) => {
    const at = b.last && seconds(b.last.at);
    const hint = (/** @type {string} */ key, /** @type {string} */ command) => html`<p class="note">${w(key)}</p><pre tabindex="0">${command}</pre>`;
    if (b.store === "postgres") return html`<p>${w("backup_postgres")}</p>${hint("backup_how", `${b.command} --file=sunspool.dump "$DATABASE_URL"`)}`;
    return html`${b.last ? backupFacts(b.last, w("backup_last"), zone) : nothing}
      ${!known(at) || serverNow() - at > OLD_S ? html`<p class="problem">${icon("warn")} ${w(b.last ? "backup_old" : "backup_none")}</p>` : nothing}
      ${b.last ? html`<p class="note">${w("backup_note")}</p>` : nothing}
      ${b.restored ? html`<h3>${w("restored")}</h3>${backupFacts(b.restored, w("restored"), zone)}` : nothing}
      ${hint("backup_how", String(b.command).replace("FILE", "/var/backups/vps.db"))}${hint("backup_docker", "docker compose exec -T api /sunspool vps backup - > vps.db")}`;
  }));
}
