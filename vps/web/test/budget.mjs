// The budget of the page as a table: what, what it is, its budget. It fails on what can be counted, see counted.mjs, and on no time:
// times are only worth something on a machine with nothing else to do.
import { startDemo, startBrowser, settled } from "./harness.mjs";
import { counted, newPage, PHONE, VIEWS } from "./counted.mjs";

/** @typedef {import("./counted.mjs").Row} Row */

/** Slow processors and networks, and their budgets in ms: first paint, live values, all charts. */
const LAN = { latency: 5, downloadThroughput: 3e6, uploadThroughput: 1e6 };
const MOBILE = { latency: 100, downloadThroughput: 5e5, uploadThroughput: 2e5 };
const PROFILES = [
  { name: "LAN", cpu: 1, net: LAN, budgets: [600, 1000, 1500] },
  { name: "phone, CPU / 4", cpu: 4, net: LAN, budgets: [600, 1000, 1500] },
  { name: "phone, CPU / 4, 100 ms and 4 Mbit/s", cpu: 4, net: MOBILE, budgets: [1000, 1500, 1500] },
  { name: "old tablet, CPU / 6", cpu: 6, net: LAN, budgets: [900, 1500, 2000] },
];

/** Notes in the page when the live values and all charts have been painted. */
function watchPaint() {
  const seen = (globalThis.painted = {});
  const note = (name) => {
    if (name in seen) return;
    seen[name] = 0;
    requestAnimationFrame(() => setTimeout(() => (seen[name] = performance.now()), 0));
  };
  new MutationObserver(() => {
    if ([...document.querySelectorAll(".flow .value")].some((v) => /\d/.test(v.textContent))) note("values");
    const plots = [...document.querySelectorAll("sun-plot")];
    if (plots.length && plots.every((p) => p.querySelector("canvas")) && !document.querySelector("[aria-busy=true]")) note("charts");
  }).observe(document, { childList: true, subtree: true, characterData: true });
}

const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
/** @param {string} what @param {number} is @param {number} budget @param {string} unit @returns {Row} */
const row = (what, is, budget, unit = "ms") => ({ what, is: Math.round(is * 10) / 10, budget, unit });

/** The middle of three first views. */
async function firstViews(base, browser, { name, cpu, net, budgets }) {
  const runs = [];
  for (let i = 0; i < 3; i++) {
    const { page, cdp, close } = await newPage(browser, PHONE);
    await page.addInitScript(watchPaint);
    await cdp.send("Network.enable");
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: cpu });
    await cdp.send("Network.emulateNetworkConditions", { offline: false, ...net });
    await page.goto(base, { waitUntil: "commit" });
    // Seldom: to look is work of the slow processor, too.
    await page.waitForFunction(() => globalThis.painted.values > 0 && globalThis.painted.charts > 0, null, { polling: 500 });
    runs.push(await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0].startTime, globalThis.painted.values, globalThis.painted.charts]));
    await close();
  }
  return ["first paint", "live values painted", "all charts painted"].map((what, i) => row(`${name}: ${what}`, middle(runs.map((r) => r[i])), budgets[i]));
}

const metrics = async (cdp) => Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));

/** Goes to a view and returns the ms until it is painted, and those of its script. */
async function turnTo(page, cdp, view) {
  const before = await metrics(cdp);
  const ms = await page.evaluate((v) => new Promise((resolve) => {
    const began = performance.now();
    const watch = new MutationObserver(() => {
      if (!document.querySelector(`main.view-${v}`)) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began), 0));
    });
    watch.observe(document.body, { subtree: true, childList: true, attributes: true });
    location.hash = v;
  }), view);
  return { ms, script: 1000 * ((await metrics(cdp)).ScriptDuration - before.ScriptDuration) };
}

/** Views whose answers are there, and the cursor of a day, on a phone. */
async function turns(base, browser) {
  const { page, cdp, close } = await newPage(browser, PHONE);
  await cdp.send("Performance.enable");
  await page.goto(base);
  const heaps = new Map();
  for (const view of VIEWS) {
    await page.evaluate((v) => (location.hash = v), view);
    await page.waitForSelector(`main.view-${view}`);
    await settled(page);
    await cdp.send("HeapProfiler.collectGarbage");
    heaps.set(view, (await cdp.send("Runtime.getHeapUsage")).usedSize / 1e6);
  }
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  let slowest = { view: "", ms: 0 };
  let year = 0;
  for (const view of [...VIEWS, ...VIEWS]) {
    const { ms, script } = await turnTo(page, cdp, view);
    if (ms > slowest.ms) slowest = { view, ms };
    if (view === "year") year = script;
    await page.waitForTimeout(300);
  }
  await page.evaluate(() => (location.hash = "day"));
  await settled(page);
  await page.locator("#curve sun-plot").first().scrollIntoViewIfNeeded();
  const box = await page.locator("#curve sun-plot .u-over").first().boundingBox();
  const moves = 60;
  await page.mouse.move(box.x + 5, box.y + 30);
  const before = await metrics(cdp);
  for (let i = 0; i < moves; i++) {
    await page.mouse.move(box.x + 5 + ((box.width - 10) * i) / moves, box.y + 30);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve(0))));
  }
  const script = (1000 * ((await metrics(cdp)).ScriptDuration - before.ScriptDuration)) / moves;
  await close();
  return [row("year with its heat map, CPU / 4: script", year, 100), row(`tab with known answers, CPU / 4: the slowest (${slowest.view})`, slowest.ms, 100), row("a move of the cursor, CPU / 4", script, 8),
    row("heap of the first view", heaps.get("now"), 15, "MB"), row("heap of the year", heaps.get("year"), 25, "MB")];
}

/** What the first view takes of a processor while samples come, its pictures drawn by software. */
async function live(base, browser, name, viewport, query) {
  const { page, cdp, close } = await newPage(browser, viewport);
  await cdp.send("Performance.enable");
  await page.goto(base + query);
  await settled(page);
  await page.waitForTimeout(6000); // more.js, and what is asked after the first view
  const whole = await browser.newBrowserCDPSession();
  const processes = async () => (await whole.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, p) => sum + p.cpuTime, 0);
  const used = async () => [Date.now() / 1000, (await metrics(cdp)).TaskDuration, await processes()];
  const before = await used();
  await page.waitForTimeout(20000);
  const [s, thread, all] = (await used()).map((v, i) => v - before[i]);
  await close();
  return [row(`live, ${name}: its thread`, (100 * thread) / s, 10, "% of a core"), row(`live, ${name}: the browser`, (100 * all) / s, 10, "% of a core")];
}

const demo = await startDemo();
const browser = await startBrowser();
const rows = await counted(demo.base, browser);
for (const p of PROFILES) rows.push(...await firstViews(demo.base, browser, p));
rows.push(...await turns(demo.base, browser), ...await live(demo.base, browser, "phone", PHONE, ""), ...await live(demo.base, browser, "wall display", { width: 1024, height: 600 }, "/?kiosk=1"));
await browser.close();
demo.stop();
const over = (/** @type {Row} */ r) => !(r.is <= r.budget);
const [wide, far] = [Math.max(...rows.map((r) => r.what.length)), 10];
console.log(`${"what".padEnd(wide)}${"is".padStart(far)}${"budget".padStart(far)}`);
for (const r of rows) console.log(`${r.what.padEnd(wide)}${String(r.is).padStart(far)}${String(r.budget).padStart(far)} ${r.unit.padEnd(12)}${over(r) ? (r.counted ? "OVER" : "over") : "ok"}`);
if (rows.some((r) => r.counted && over(r))) {
  console.log("OVER is what no machine is too slow for.");
  process.exitCode = 1;
}
