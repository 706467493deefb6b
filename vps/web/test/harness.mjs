// What the tests of the page share: a running program, a browser, and pages that note everything that must not be.
import { chromium } from "playwright-core";
import axe from "axe-core";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { createServer } from "node:net";

const here = fileURLToPath(new URL(".", import.meta.url));

/** A port that is free now. */
export function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

// How long a condition may take to come true. It is only there to end a test that fails: a busy machine is no reason to.
export const PATIENCE_MS = 1000 * Number(process.env.PATIENCE_S || 300);

/** Waits until f returns something; not longer than until over() is true, after which it never will. */
export async function until(f, over = () => false) {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    let last;
    const hopeless = over();
    const v = await Promise.resolve().then(f).catch((e) => void (last = e));
    if (v) return v;
    if (hopeless || Date.now() > end) throw new Error(`never came true: ${f}`, { cause: last });
    await new Promise((r) => setTimeout(r, 200));
  }
}

/** The program that is tested. */
export function program() {
  const found = process.env.SUNSPOOL || fileURLToPath(new URL("../../../sunspool", import.meta.url));
  if (!existsSync(found)) throw new Error(`there is no ${found}: go build -o sunspool . makes it, SUNSPOOL names another`);
  return found;
}

/** What most tests run `sunspool demo` with. */
export const USUAL = ["--tz", "Europe/Brussels"];

/**
 * Starts `sunspool demo` (SUNSPOOL is the program), and the page: the program's own, or, with PAGE=dev, static/ as it is.
 * The usual one is that of page.mjs, if that runs the tests: they only read.
 * @returns {Promise<{ base: string, api: string, stop: () => void }>}
 */
export async function startDemo(args = USUAL) {
  if (args === USUAL && process.env.DEMO_SHARED) return { ...JSON.parse(process.env.DEMO_SHARED), stop: () => {} };
  const children = [];
  const start = (...command) => {
    const child = spawn(...command, { stdio: ["ignore", "pipe", "ignore"] });
    child.unref(); // a test that could not even begin ends, too
    /** @type {any} */ (child.stdout.resume()).unref();
    children.push(child);
    return child;
  };
  const stop = () => children.forEach((c) => c.kill());
  process.once("exit", stop);
  // It takes a port that is free, and prints which: nobody else can take it in between.
  let printed = "";
  const demo = start(program(), ["demo", "--listen", "127.0.0.1:0", ...args]);
  demo.stdout.on("data", (text) => (printed += text));
  const api = await until(() => (/readers\s+(http:\S+)/.exec(printed) || [])[1], () => demo.exitCode !== null);
  await until(async () => {
    const d = (await (await fetch(`${api}/v1/devices`)).json()).devices[0];
    if (!d || !d.first_sample || Date.parse(d.last_sample) - Date.parse(d.first_sample) < 300 * 864e5) return false;
    // The first sample of its edge may lack what two registers do not agree about yet.
    if (!d.capabilities.grid || !d.capabilities.load) return false;
    // The days of a year ago are stored first, and those up to two weeks ago last.
    const from = d.first_sample.slice(0, 10);
    return (await (await fetch(`${api}/v1/energy?device_id=${d.id}&resolution=day&from=${from}`)).json()).totals.coverage > 0.95;
  });
  let base = api;
  if (process.env.PAGE === "dev") {
    const p = await freePort();
    start(process.execPath, [`${here}../dev/serve.mjs`, String(p), api]);
    base = `http://127.0.0.1:${p}`;
    await until(async () => (await fetch(base)).ok);
  }
  return { base, api, stop };
}

let browser;

export async function startBrowser(...args) {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", ...args], timeout: PATIENCE_MS });
  return browser;
}

/**
 * The demo and a browser of the tests of a file, while these run.
 * @param {typeof import("node:test")} test @param {string[]} [args] of sunspool demo
 * @returns {Awaited<ReturnType<typeof startDemo>> & { browser: import("playwright-core").Browser }}
 */
export function demoAndBrowser(test, args = USUAL) {
  const shared = /** @type {any} */ ({});
  test.before(async () => {
    Object.assign(shared, await startDemo(args));
    shared.browser = await startBrowser();
  });
  test.after(async () => {
    await shared.browser?.close();
    shared.stop?.();
  });
  return shared;
}

// What a test that fails leaves open is kept as pictures (build/pages/failed, or FAILED), and closed.
if (process.env.NODE_TEST_CONTEXT) (await import("node:test")).afterEach(async (test) => {
  const dir = process.env.FAILED || fileURLToPath(new URL("../../../build/pages/failed/", import.meta.url));
  for (const page of browser ? browser.contexts().flatMap((c) => c.pages()) : []) {
    const name = `${test.name.replace(/[^\w]+/g, "-").slice(0, 80)}-${Date.now()}.png`;
    await page.screenshot({ path: join(dir, name), timeout: 30000 }).then(() => console.log(`picture of ${page.url()}: ${join(dir, name)}`), (e) => console.log(`no picture: ${e}`));
    await page.context().close().catch(() => {});
  }
});

/**
 * Opens a page. `answers` changes what the API answers: path without query to a function of its JSON; those that came with
 * the page are taken away, so that everything is asked. A function may return undefined for an aborted request, or
 * { status, body }.
 * @param {string} base
 * @param {{ width?: number, height?: number, theme?: "light" | "dark", query?: string, hash?: string, zone?: string,
 *   lang?: string, reduced?: boolean, answers?: Record<string, (json: any, url: URL) => any>, boot?: (boot: any) => void, forced?: boolean, refused?: boolean, touch?: boolean,
 *   cookies?: any[], before?: (page: import("playwright-core").Page) => Promise<void> }} o refused: some answers will be 401 and the like; before: to be done with the page before it is opened
 */
export async function open(base, o = {}) {
  const context = await browser.newContext({ viewport: { width: o.width || 1280, height: o.height || 800 }, colorScheme: o.theme || "light",
    timezoneId: o.zone || "Europe/Brussels", locale: o.lang || "en-GB", reducedMotion: o.reduced ? "reduce" : "no-preference", forcedColors: o.forced ? "active" : "none",
    deviceScaleFactor: o.width && o.width < 600 ? 2 : 1, hasTouch: Boolean(o.touch) });
  context.setDefaultTimeout(PATIENCE_MS);
  if (o.cookies) await context.addCookies(o.cookies);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => m.type() === "error" && !((o.answers || o.refused) && /Failed to load resource/.test(m.text())) && wrong.push(m.text()));
  page.on("pageerror", (e) => wrong.push(e.stack || String(e)));
  page.on("request", (r) => !r.url().startsWith(base) && !/^(data|blob):/.test(r.url()) && wrong.push(`request to ${r.url()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`)));
  if (o.answers || o.boot) await page.route((u) => u.pathname === "/", async (route) => {
    const r = await route.fetch();
    const html = (await r.text()).replace(/(<script type="application\/json" id="boot">)(.*?)(<\/script>)/s, (_, a, json, z) => {
      const boot = JSON.parse(json);
      if (o.answers) boot.answers = {};
      if (o.boot) o.boot(boot);
      return a + JSON.stringify(boot).replace(/</g, "\\u003c") + z;
    });
    await route.fulfill({ response: r, body: html });
  });
  if (o.answers) await page.route((u) => u.pathname.startsWith("/v1/"), async (route) => {
    const url = new URL(route.request().url());
    const change = o.answers[url.pathname] || o.answers["*"];
    if (!change) return route.continue();
    if (url.pathname === "/v1/stream") {
      const body = change(null, url);
      return body === undefined ? route.abort() : route.fulfill(typeof body === "string" ? { status: 200, contentType: "text/event-stream", body } : { status: body.status, body: "" });
    }
    const r = await route.fetch().catch(() => null);
    if (!r) return; // the page was closed
    const json = await r.json().catch(() => null);
    if (!json && url.pathname !== "/v1/session") return route.fulfill({ response: r }).catch(() => {});
    const changed = change(json, url, route.request());
    if (changed === undefined) return route.abort();
    if (changed && changed.status && changed.body !== undefined) return route.fulfill({ status: changed.status, json: changed.body });
    return route.fulfill({ status: 200, json: changed });
  });
  if (o.before) await o.before(page);
  await page.goto(`${base}/${o.query || ""}${o.hash ? `#${o.hash}` : ""}`);
  return { page, wrong, close: () => context.close() };
}

/**
 * Fingers on a page that was opened with touch: each step is where they are, a finger less is one that was lifted. For the page a
 * step takes 20 ms, however slow the machine is: what is a tap there depends on it.
 */
export async function touch(page, ...steps) {
  const session = await page.context().newCDPSession(page);
  let timestamp = Date.now() / 1000;
  let down = 0;
  for (const points of steps) {
    const type = points.length > down ? "touchStart" : points.length < down ? "touchEnd" : "touchMove";
    await session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })), timestamp });
    timestamp += 0.02;
    down = points.length;
  }
  await session.detach();
}

/** Words that no number may become. */
export const NONSENSE = /NaN|undefined|Infinity|\[object|\bnull\b/;

/** All text and labels of a page, which is one of Playwright's or of another browser. */
export function allText(page) {
  return page.evaluate(() => [document.body.innerText, ...[...document.querySelectorAll("[aria-label],[title]")].map((e) => `${e.getAttribute("aria-label")} ${e.getAttribute("title") || ""}`.replace(/^null /, "")),
    ...[...document.querySelectorAll("svg text, svg title")].map((e) => e.textContent)].join("\n"));
}

/** Follows an address within the page, until that is drawn; what is asked for then, settled() waits for. */
async function go(page, hash) {
  await page.evaluate((h) => new Promise((resolve) => {
    if (location.hash === `#${h}`) return resolve();
    addEventListener("hashchange", () => requestAnimationFrame(() => requestAnimationFrame(resolve)), { once: true });
    location.hash = h;
  }), hash);
}

/** Waits until all widgets have an answer and are drawn, and their charts have their sentences. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main .card, main .login, main .problem, .navigator") && !document.querySelector("[aria-busy=true]")).catch(async (e) => {
    const busy = await page.evaluate(() => [...document.querySelectorAll("[aria-busy=true]")].map((b) => (b.closest(".card") || b).id || b.outerHTML.slice(0, 100)));
    throw new Error(`still busy: ${busy}`, { cause: e });
  });
  await page.waitForFunction(() => [...document.querySelectorAll("sun-plot")].every((p) => p.querySelector("canvas") && p.getAttribute("aria-label")));
}

/** Follows an address within the page, until everything of it is there. */
export async function show(page, hash) {
  await go(page, hash);
  await page.waitForSelector(`main.view-${hash.split(/[/?]/)[0]}`);
  await settled(page);
}

/** What axe finds, in words. */
export async function violations(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(" | ").slice(0, 400)}`);
}
