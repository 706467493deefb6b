// The stream of a device: samples as they are stored. It comes back by itself, asks for what it missed, rests while nobody
// looks, and falls back to asking every few seconds where streams are not let through.
import { state, changed, mergeSamples, sampleOf, seconds, forDevice } from "./store.js";
import { get, ask, readStream, expireAnswers, expireSome, ApiError } from "./api.js";

// The server sends something at least every 15 s.
const WATCHDOG_MS = 45000;
const HIDDEN_MS = 60000;
const POLL_MS = 5000;

/** @type {AbortController | null} */
let current = null;
let device = "";
let lastId = "";
let failures = 0;
let watchdog = 0;
let retry = 0;
let poll = 0;
let resting = 0;
let onEnd = () => {};

/** @param {number} serverMs the server's clock */
function setClock(serverMs) {
  if (serverMs > 0 && serverMs < 8e15) state.ahead = serverMs - Date.now();
}

/** Seconds until the next attempt, without the random part. Pure. @param {number} n failures so far */
export function backOff(n) {
  return Math.min(30, 2 ** Math.max(0, n - 1));
}

/** @param {string} id @param {() => void} ended is called if the session is over */
export function follow(id, ended) {
  onEnd = ended;
  if (device === id && (current || retry)) return;
  // What the page brought of the first device stays.
  if (device) Object.assign(state, { samples: [], today: null, told: null });
  stopFollowing();
  device = id;
  lastId = "";
  failures = 0;
  // A server of an earlier version has no stream of sites.
  if (id[0] === "!") void pollNow();
  void connect();
}

export function stopFollowing() {
  if (current) current.abort();
  current = null;
  device = "";
  for (const timer of [watchdog, retry, poll]) clearTimeout(timer);
  retry = poll = 0;
}

/** Tries again at once. */
export function reconnect() {
  if (!device) return;
  clearTimeout(retry);
  retry = 0;
  if (current) current.abort();
  void connect();
}

function feed() {
  clearTimeout(watchdog);
  watchdog = window.setTimeout(() => current && current.abort(), WATCHDOG_MS);
}

async function connect() {
  const mine = new AbortController();
  current = mine;
  feed();
  let status = 0;
  try {
    await readStream(forDevice("/v1/stream", {}, device), lastId, mine.signal, (event, data, id) => {
      if (current === mine) received(event, data, id);
    }, () => {
      state.heard = Date.now();
      feed();
    });
  } catch (e) {
    if (e instanceof ApiError) status = e.status;
  }
  if (current !== mine) return;
  current = null;
  clearTimeout(watchdog);
  if (status === 401) return onEnd();
  if (resting < 0) return;
  failures++;
  if (!state.lost) state.lost = Date.now();
  const wait = backOff(failures) * 1000 * (0.8 + Math.random() * 0.4);
  state.retryAt = Date.now() + wait;
  retry = window.setTimeout(() => {
    retry = 0;
    void connect();
  }, wait);
  if (!poll && failures > 1) pollNow();
  changed();
}

/** Asks for the newest sample while there is no stream. */
async function pollNow() {
  poll = 0;
  if (!device || current || resting < 0) return;
  try {
    const r = await get(forDevice("/v1/realtime", {}, device));
    takeRealtime(r);
    state.lost = 0;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) return onEnd();
    if (!state.lost) state.lost = Date.now();
  }
  changed();
  if (device && !poll) poll = window.setTimeout(pollNow, POLL_MS);
}

/** Whether the view has something of a new sample. */
function showsLive() {
  return ["now", "device"].includes(state.route.view);
}

/** @param {any} r answer of /v1/realtime */
export function takeRealtime(r) {
  const s = sampleOf(r);
  if (!s) return;
  state.heard = Date.now();
  if (typeof r.age_s === "number") setClock((s.t + r.age_s) * 1000);
  state.samples = mergeSamples(state.samples, [s]);
  state.told = { state: r.state, since: r.ts };
}

/** @param {string} event @param {any} data @param {string} id */
function received(event, data, id) {
  if (id) lastId = id;
  failures = 0;
  clearTimeout(poll);
  poll = 0;
  state.lost = 0;
  if (event === "hello") {
    setClock((seconds(data.time) || NaN) * 1000);
    if (state.build && data.build && data.build !== state.build) dispatchEvent(new CustomEvent("newbuild", { detail: data.build }));
    state.build = data.build || state.build;
  } else if (event === "sample" || event === "late") {
    state.samples = mergeSamples(state.samples, [data]);
    if (event === "sample" && state.told && state.told.state !== "live") expireSome("/v1/devices", 5);
    return changed(!showsLive());
  } else if (event === "today") {
    const before = state.today;
    state.today = data;
    if (before && before.date !== data.date) expireAnswers();
    else return changed(!showsLive());
  } else if (event === "state") {
    if (state.told && state.told.state !== data.state) expireSome("/v1/devices", 2);
    state.told = data;
  } else if (event === "bye" && data.reason === "token_revoked") {
    expireSome("/v1/devices", 0); // or it may see others from now on
  } else if (event === "bye" && data.reason === "too_many_streams") {
    failures = 5;
  }
  changed();
}

/** A page that nobody sees rests after a while; one that is seen again is right at once. */
export function watchVisibility() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      resting = window.setTimeout(() => {
        resting = -1;
        if (current) current.abort();
      }, HIDDEN_MS);
      return;
    }
    clearTimeout(resting);
    const slept = resting < 0;
    resting = 0;
    expireAnswers();
    if (slept || !current) reconnect();
    changed();
  });
  addEventListener("online", () => state.lost && reconnect());
}

/** The devices, asked more often while something is wrong; for a list of them with today's energy. @param {boolean} well @param {boolean} fleet */
export function askDevices(well, fleet) {
  const of = fleet ? "today=1&limit=150&" : "";
  // Without anything more it is the question that the page brought the answer of.
  const a = ask(of ? `/v1/devices?${of.slice(0, -1)}` : "/v1/devices", well || fleet ? 60 : 15);
  if (a.data && Array.isArray(a.data.devices)) {
    let page = a.data;
    let all = page.devices;
    // The server gives some at a time.
    for (let n = 0; page && page.next_after && n < 20; n++) {
      page = ask(`/v1/devices?${of}after=${encodeURIComponent(page.next_after)}`, 60).data;
      if (page) all = all.concat(page.devices || []);
    }
    all = all.filter((/** @type {any} */ d) => d && typeof d.id === "string");
    if (page || all.length > state.devices.length) state.devices = all;
    state.session = state.session || { role: a.data.role };
  }
  return a;
}
