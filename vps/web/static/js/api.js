// Questions to the server, and what it answered. A view asks while it is drawn: ask() returns what is known now, and draws
// again when the answer is there. Answers that came with the page are used once, before any request.

/**
 * @typedef {{ url: string, data: any, error: ApiError | null, at: number, busy: boolean }} Answer at: ms, 0 if never
 */

export class ApiError extends Error {
  /** @param {number} status 0 if the server was not reached @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** @type {Map<string, Answer>} */
const answers = new Map();
/** @type {Record<string, any>} */
let carried = {};
let onAnswer = () => {};
let onRefused = () => {};

/**
 * @param {Record<string, any> | undefined} first answers that came with the page, by path and query
 * @param {() => void} changed is called after each answer @param {() => void} refused is called if the session is over
 */
export function startApi(first, changed, refused) {
  carried = first || {};
  onAnswer = changed;
  onRefused = refused;
}

/** Rows of energy: a list of texts, lists of that length, an object. */
const ROWS = { labels: "texts", columns: "lists", totals: {} };

/**
 * What views rely on of an answer, by path, as docs/api.md has it: {} is an object with what is named in it, [{}] a list of such, ? what is
 * not always there. What is not named, and what may be null, is for the views to look at.
 * @type {Record<string, any>}
 */
const SHAPES = {
  "/v1/devices": { server: {}, devices: [{ chain: [{}] }] },
  "/v1/realtime": { values: {} },
  "/v1/energy": { ...ROWS, "compare?": ROWS },
  "/v1/series": { columns: "lists", tz: {}, gaps: [{}] },
  "/v1/continuity": { holes: [{}] },
  "/v1/capacity": { months: [{}] },
};

/** @param {any} v */
const isObject = (v) => Boolean(v) && typeof v === "object" && !Array.isArray(v);

/** @param {any} v @param {any} shape @returns {any} */
function fitted(v, shape) {
  if (Array.isArray(shape)) return Array.isArray(v) ? v.filter(isObject).map((x) => fitted(x, shape[0])) : [];
  if (shape === "texts") return Array.isArray(v) ? v.map((x) => (typeof x === "string" ? x : "")) : [];
  const out = isObject(v) ? { ...v } : {};
  if (shape === "lists") for (const name of Object.keys(out)) out[name] = Array.isArray(out[name]) ? out[name] : [];
  else for (const key of Object.keys(shape)) {
    const name = key.replace("?", "");
    if (name === key || name in out) out[name] = fitted(out[name], shape[key]);
  }
  // A value without a label is of no time that anybody knows.
  if (shape.labels) for (const name of Object.keys(out.columns)) out.columns[name] = out.columns[name].slice(0, out.labels.length);
  return out;
}

/** An answer to a question with what views rely on, whatever a proxy or another version made of it; one that is as documented stays as it is. Pure. @param {string} url @param {any} v @returns {any} */
export function shaped(url, v) {
  const shape = SHAPES[url.split("?")[0]];
  return shape && isObject(v) ? fitted(v, shape) : v;
}

/** Fetches JSON, or throws an ApiError. Paths are relative to the page, which a proxy may serve below another. @param {string} url @param {RequestInit} [init] */
export async function get(url, init) {
  if (Object.prototype.hasOwnProperty.call(carried, url)) {
    const data = shaped(url, carried[url]);
    delete carried[url];
    return data;
  }
  let response;
  try {
    response = await fetch(url.slice(1), { credentials: "same-origin", headers: { Accept: "application/json" }, ...init });
  } catch {
    throw new ApiError(0, "unreachable", "");
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    // An empty body, or one of a proxy.
  }
  if (response.ok) return shaped(url, body);
  const detail = body && body.detail;
  const text = Array.isArray(detail) ? detail.map((d) => d && d.msg).join("; ") : detail;
  throw new ApiError(response.status, (body && body.code) || "", typeof text === "string" ? text : "");
}

/**
 * What is known of a question. It is asked if there is no answer that is younger than maxAge seconds.
 * @param {string} url @param {number} [maxAge]
 * @returns {Answer}
 */
export function ask(url, maxAge = 300) {
  let a = answers.get(url);
  if (!a) {
    a = { url, data: null, error: null, at: 0, busy: false };
    answers.set(url, a);
    forgetOldest();
    if (Object.prototype.hasOwnProperty.call(carried, url)) {
      a.data = shaped(url, carried[url]);
      a.at = Date.now();
      delete carried[url];
    }
  }
  const wait = a.error ? 15 : maxAge;
  if (!a.busy && Date.now() - a.at > wait * 1000) void refresh(a);
  return a;
}

/** Asks again now. @param {Answer} a */
export async function refresh(a) {
  if (a.busy) return;
  a.busy = true;
  try {
    a.data = await get(a.url);
    a.error = null;
  } catch (e) {
    a.error = e instanceof ApiError ? e : new ApiError(0, "", String(e));
    if (a.error.status === 401) onRefused();
  }
  a.busy = false;
  a.at = Date.now();
  onAnswer();
}

/** Every answer is old from now on; it stays on the screen until there is a new one. */
export function expireAnswers() {
  for (const a of answers.values()) a.at = Math.min(a.at, 1);
}

/** Only answers whose address begins so are old from now on. @param {string} start @param {number} olderThan s */
export function expireSome(start, olderThan) {
  const limit = Date.now() - olderThan * 1000;
  for (const a of answers.values()) if (a.url.startsWith(start) && a.at < limit) a.at = Math.min(a.at, 1);
}

export function forgetAnswers() {
  answers.clear();
  carried = {};
}

function forgetOldest() {
  if (answers.size <= 60) return;
  const first = answers.keys().next().value;
  if (first !== undefined) answers.delete(first);
}

/** @param {string} token @param {boolean} kiosk */
export function logIn(token, kiosk) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return get("/v1/session", { method: "POST", headers, body: JSON.stringify({ token, kiosk }) });
}

export function logOut() {
  return get("/v1/session", { method: "DELETE" });
}

/**
 * Reads server-sent events until the connection ends. fetch instead of EventSource, because it shows the status, sends
 * Last-Event-ID, and can be ended by a watchdog.
 * @param {string} url @param {string} lastId @param {AbortSignal} signal
 * @param {(event: string, data: any, id: string) => void} onEvent @param {() => void} onBytes
 */
export async function readStream(url, lastId, signal, onEvent, onBytes) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  const response = await fetch(url.slice(1), { credentials: "same-origin", cache: "no-store", headers, signal });
  if (!response.ok || !response.body) throw new ApiError(response.status, "", "");
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() || "";
    for (const block of blocks) eventOf(block, onEvent);
  }
}

/** @param {string} block @param {(event: string, data: any, id: string) => void} onEvent */
function eventOf(block, onEvent) {
  let event = "message";
  let data = "";
  let id = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data += line.slice(5).trim();
    else if (line.startsWith("id:")) id = line.slice(3).trim();
  }
  if (!data) return;
  try {
    onEvent(event, JSON.parse(data), id);
  } catch {
    // A line that is no JSON is from no version of this server.
  }
}
