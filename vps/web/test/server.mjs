// A real `sunspool vps` for tests of the page: with tokens in files, a store in a directory of its own, and samples that the test
// sends as an edge does.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";
import { open, program, until } from "./harness.mjs";

export const DEVICE = "roof";
const DEVICE_TOKEN = "device-token-0123456789";
/** Of whoever looks at the page. */
export const VIEWER = "viewer-token-0123456789";

/** A sample as an edge sends it. @param {number} t s since 1970 @param {Partial<import("../static/js/store.js").Sample>} [more] @param {object} [fields] of the API */
export function sampleAt(t, more = {}, fields = {}) {
  const s = { pv_w: 4210, load_w: 730, battery_w: 1480, grid_w: -2000, soc_pct: 62.4, ...more };
  return { device_id: DEVICE, ts: new Date(t * 1000).toISOString(), pv_power_w: s.pv_w, battery_power_w: s.battery_w, battery_soc_pct: s.soc_pct,
    load_power_w: s.load_w, export_power_w: s.grid_w === null ? null : -s.grid_w, ...fields };
}

/**
 * Starts the server. It is the same store and the same port after kill() and start().
 * @param {{ env?: Record<string, string>, viewers?: string[], devices?: string[], program?: string }} [o] devices: further entries of DEVICE_TOKENS
 */
export async function startServer(o = {}) {
  const dir = mkdtempSync(join(tmpdir(), "sunspool-page-"));
  const log = join(dir, "log");
  const secret = (/** @type {string} */ name, /** @type {string[]} */ entries) => {
    writeFileSync(join(dir, name), `${entries.join("\n")}\n`, { mode: 0o600 });
    return join(dir, name);
  };
  const setViewers = (/** @type {string[]} */ tokens) => secret("viewers", tokens.map((t) => (t.includes(":") ? t : `${t}:*`)));
  const env = { PATH: process.env.PATH, LISTEN_ADDR: "127.0.0.1:0", INTERNAL_ADDR: "", DATA_DIR: join(dir, "data"), SITE_TZ: "",
    DEVICE_TOKENS_FILE: secret("devices", [`${DEVICE_TOKEN}:${DEVICE}`, ...(o.devices || [])]), VIEWER_TOKENS_FILE: setViewers(o.viewers || [VIEWER]), ...o.env };
  /** @type {import("node:child_process").ChildProcess | null} */
  let child = null;
  let base = "";

  const start = async (/** @type {string} */ other) => {
    const out = openSync(log, "a");
    const started = child = spawn(other || o.program || program(), ["vps"], { env, stdio: ["ignore", out, out] });
    closeSync(out);
    started.unref();
    await until(async () => {
      if (started.exitCode !== null || started.signalCode !== null) throw new Error(`sunspool vps ended: ${readFileSync(log, "utf8").slice(-2000)}`);
      // It has taken a port that was free, and keeps it.
      const [, address] = /"listen":"(127\.0\.0\.1:\d+)"/.exec(readFileSync(log, "utf8")) || [];
      if (!address) return false;
      env.LISTEN_ADDR = address;
      base = `http://${address}`;
      return (await fetch(`${base}/health`)).ok;
    }, () => started.exitCode !== null);
  };
  const kill = async (/** @type {NodeJS.Signals} */ signal = "SIGKILL") => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child && child.once("exit", resolve));
    child.ref();
    child.kill(signal);
    await gone;
  };
  const stop = async () => {
    await kill();
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", () => child && child.kill("SIGKILL"));

  /** Sends samples as an edge does, and returns the answer, when it is there. @param {object[]} samples @param {object} [more] @param {string} [token] */
  const ingest = async (samples, more = {}, token = DEVICE_TOKEN) => {
    let inserted = 0;
    for (let i = 0; i < samples.length; i += 1000) {
      const answer = await fetch(`${base}/v1/ingest`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ tz: "Europe/Brussels", edge: { version: "1.0.0", model: "SH10RT", poll_interval_s: 5, spool_count: 0, quarantined: 0, state: "ok" },
          samples: samples.slice(i, i + 1000), ...more }) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`ingest: ${answer.status} ${text}`);
      inserted += JSON.parse(text).inserted;
    }
    return inserted;
  };
  /** The answer of the API to a question of the viewer. @param {string} url */
  const get = async (url) => {
    const answer = await fetch(base + url, { headers: { Authorization: `Bearer ${VIEWER}` } });
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  /** The same of its device. @param {string} path @param {Record<string, any>} query */
  const ask = (path, query) => get(`/v1/${path}?device_id=${DEVICE}${Object.entries(query).map(([k, v]) => `&${k}=${v}`).join("")}`);
  /** What a command on the machine of the server prints. @param {string[]} args */
  const command = (...args) => execFileSync(o.program || program(), args, { env, encoding: "utf8" });
  /** Has the server read its tokens and its prices again, and waits until it has. */
  const reload = async () => {
    const times = () => readFileSync(log, "utf8").split(/tokens (?:not )?reloaded/).length;
    const before = times();
    if (child) child.kill("SIGHUP");
    await until(() => times() > before);
  };
  await start("");
  return { base, port: Number(base.split(":").at(-1)), env, start, kill, stop, ingest, get, ask, setViewers, command, dir, reload, log: () => readFileSync(log, "utf8") };
}

/** Runs f with a page of the viewer, which must have no error then. @param {string} base of the server @param {(page: import("playwright-core").Page) => Promise<void>} f */
export async function withPage(base, f) {
  // Comparisons would be numbers beside the numbers.
  const { page, wrong, close } = await open(base, { hash: `t=${VIEWER}`, refused: true, before: (p) => p.addInitScript(() => localStorage.setItem("sunspool", '{"compare":"none"}')) });
  await page.waitForSelector(".flow");
  await f(page);
  assert.deepEqual(wrong, []);
  await close();
}

/** Samples of a span, `every` s apart. @param {number} from s @param {number} to @param {number} every @param {(t: number) => any} [of] powers of an instant */
export function samplesOf(from, to, every, of = () => ({})) {
  const all = [];
  for (let t = from; t < to; t += every) all.push(sampleAt(t, of(t)));
  return all;
}
