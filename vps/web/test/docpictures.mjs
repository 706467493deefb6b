// Pictures of the documents: the page as somebody sees it for the first time, on a phone and on a screen, with a demo and with a
// server that asks for a token. Small enough to be kept: few colours, by pngquant and optipng.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { startBrowser, startDemo, settled, until, freePort } from "./harness.mjs";

const LIMIT = 60_000; // bytes of a picture
const out = process.env.DOCS || fileURLToPath(new URL("../../../docs/pictures", import.meta.url));
mkdirSync(out, { recursive: true });
const kept = mkdtempSync(`${tmpdir()}/sunspool-pictures-`);
chmodSync(kept, 0o700);
const TOKEN = "viewer-token-of-the-pictures-0123456789abcdef";
const demo = await startDemo(["--keep", kept, ...(process.env.DEMO || "").split(" ").filter(Boolean)]);
const browser = await startBrowser();
// The program's clock may be another than the browser's: pictures show its day.
const ahead = Date.parse((await fetch(`${demo.api}/v1/devices`)).headers.get("date") || "") - Date.now();
const today = (await (await fetch(`${demo.api}/v1/devices`)).json()).devices[0].last_sample.slice(0, 10);
const yesterday = new Date(Date.parse(today) - 864e5).toISOString().slice(0, 10);
const lastMonth = new Date(Date.parse(`${today.slice(0, 7)}-01`) - 864e5).toISOString().slice(0, 7);

/**
 * One visitor, who keeps the cookies and the settings of the visit.
 * @param {{ width?: number, height?: number, theme?: "light" | "dark", scale?: number, js?: boolean }} [o]
 */
async function visitor(o = {}) {
  const context = await browser.newContext({ viewport: { width: o.width || 360, height: o.height || 760 }, deviceScaleFactor: o.scale || 1.5,
    colorScheme: o.theme || "light", locale: "en-GB", timezoneId: "Europe/Brussels", reducedMotion: "reduce", javaScriptEnabled: o.js !== false });
  const page = await context.newPage();
  if (Math.abs(ahead) > 60_000) await page.addInitScript((ms) => {
    const Real = Date;
    globalThis.Date = /** @type {any} */ (class extends Real {
      constructor(/** @type {any[]} */ ...a) {
        // @ts-ignore
        super(...(a.length ? a : [Real.now() + ms]));
      }
      static now() { return Real.now() + ms; }
    });
  }, ahead);
  return page;
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function take(page, name) {
  const file = `${out}/${name}.png`;
  await page.screenshot({ path: file });
  for (const colours of [128, 64, 32]) {
    spawnSync("pngquant", ["--force", "--skip-if-larger", "--speed", "1", "--nofs", "--output", file, String(colours), file]);
    spawnSync("optipng", ["-quiet", "-o5", "-strip", "all", file]);
    if (statSync(file).size <= LIMIT) return;
  }
  throw new Error(`${file} has ${statSync(file).size} bytes: pngquant and optipng make it small enough`);
}

/** @param {import("playwright-core").Page} page @param {string} url @param {string} name @param {string} [to] what is scrolled to */
async function show(page, url, name, to) {
  await page.goto(url);
  await settled(page);
  if (to) await page.evaluate((id) => globalThis.scrollBy(0, /** @type {HTMLElement} */ (document.getElementById(id)).getBoundingClientRect().top - 70), to);
  await page.waitForTimeout(700); // of the stream's first events
  await take(page, name);
}

/** Starts `sunspool vps` on the files of the demo, as soon as that has left them. */
async function startServer() {
  const program = process.env.SUNSPOOL || fileURLToPath(new URL("../../../sunspool", import.meta.url));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const start = () => spawn(program, ["vps"], { stdio: "ignore", env: { PATH: process.env.PATH, DATA_DIR: kept, LISTEN_ADDR: `127.0.0.1:${port}`, INTERNAL_ADDR: "",
    DEVICE_TOKENS: `device-token-of-the-pictures-0123456789abcdef:demo`, VIEWER_TOKENS: `${TOKEN}:demo` } });
  let child = start();
  await until(async () => {
    if (child.exitCode !== null) child = start();
    return (await fetch(base)).ok;
  });
  return { base, stop: () => child.kill() };
}

const stops = [demo.stop];
try {
  let page = await visitor();
  await show(page, `${demo.base}/`, "now");
  await show(page, `${demo.base}/#now`, "now-scrolled", "curve");
  await show(page, `${demo.base}/#day/${yesterday}`, "day", "curve");
  await show(page, `${demo.base}/#month/${lastMonth}`, "month");
  await show(page, `${demo.base}/#year`, "year", "bars");
  await show(page, `${demo.base}/#all`, "all");
  await show(page, `${demo.base}/#device`, "device");
  await page.goto(`${demo.base}/#settings`);
  await settled(page);
  await page.locator("input[name=lang][value=de]").click();
  await page.getByLabel("Dunkel").click();
  await settled(page);
  await take(page, "settings");
  page = await visitor({ width: 1280, height: 800, scale: 1 });
  await show(page, `${demo.base}/`, "page");

  // A server of its own, which asks for a token, with the history of the demo.
  demo.stop();
  const server = await startServer();
  stops.push(server.stop);
  page = await visitor();
  await show(page, server.base, "login");
  await page.fill("#token", "not-the-token");
  await page.click("button[type=submit]");
  await page.waitForFunction(() => document.querySelector("#login-problem")?.textContent);
  await take(page, "login-wrong");
  page = await visitor();
  await show(page, `${server.base}/#t=${TOKEN}`, "login-link");
  if (page.url().includes(TOKEN)) throw new Error("the token is still in the address");
  page = await visitor({ js: false });
  await page.goto(`${server.base}/lite`);
  await page.fill("input[name=token]", TOKEN);
  await page.click("button");
  await page.waitForLoadState();
  await take(page, "lite");
} finally {
  stops.forEach((stop) => stop());
  await browser.close();
  rmSync(kept, { recursive: true, force: true });
}
