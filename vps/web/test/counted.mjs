// What of the page's budget can be counted, and is the same on every machine: bytes, requests, what moves, what stays in memory.
import { gzipSync } from "node:zlib";
import { settled, until, PATIENCE_MS } from "./harness.mjs";
import { startProxy } from "./proxy.mjs";
import { flowsOf } from "./scenarios.mjs";

/** @typedef {{ what: string, is: number, budget: number, unit: string, counted?: boolean }} Row counted: it fails where it is over */

export const VIEWS = ["now", "day", "month", "year", "all"];
export const PHONE = { width: 390, height: 844 };
const WIDE = { width: 1280, height: 800 };

/** @param {string} what @param {number} is @param {number} budget @param {string} unit @returns {Row} */
const count = (what, is, budget, unit) => ({ what, is, budget, unit, counted: true });

/** A page, and a session of its debugger. @param {import("playwright-core").Browser} browser @param {{ width: number, height: number }} viewport @param {import("playwright-core").BrowserContext} [context] */
export async function newPage(browser, viewport, context) {
  const c = context || (await browser.newContext({ viewport }));
  c.setDefaultTimeout(PATIENCE_MS);
  const page = await c.newPage();
  return { context: c, page, cdp: await c.newCDPSession(page), close: () => c.close() };
}

/** What a page loads from the network, by path. more.js comes when the first view is there, and browsers ask for icons when they like. */
async function loaded(cdp) {
  const asked = new Map();
  await cdp.send("Network.enable");
  cdp.on("Network.requestWillBeSent", (e) => !/icon|manifest|\/more\.js$/.test(e.request.url) && asked.set(e.requestId, { path: new URL(e.request.url).pathname, bytes: 0 }));
  cdp.on("Network.requestServedFromCache", (e) => asked.delete(e.requestId));
  cdp.on("Network.responseReceived", (e) => e.response.fromDiskCache && asked.delete(e.requestId));
  cdp.on("Network.loadingFinished", (e) => asked.has(e.requestId) && (asked.get(e.requestId).bytes = e.encodedDataLength));
  return { all: () => [...asked.values()], sum: () => [...asked.values()].reduce((sum, a) => sum + a.bytes, 0) };
}

/** Bytes and requests. @returns {Promise<Row[]>} */
async function transfer(base, browser) {
  const html = await (await fetch(base, { headers: { Accept: "text/html" } })).text();
  const files = /** @type {RegExpExecArray} */ (/a\/[0-9a-f]{8}\//.exec(html))[0];
  const size = async (name) => Number((await fetch(`${base}/${files}${name}`, { headers: { "Accept-Encoding": "gzip" } })).headers.get("content-length"));
  // Answers have more numbers the later it is in the day.
  const bare = gzipSync(html.replace(/"answers":\{.*\}(?=\}<\/script>)/s, '"answers":{}')).length;
  const [app, more, css] = await Promise.all(["app.js", "more.js", "app.css"].map(size));
  const first = await newPage(browser, PHONE);
  const net = await loaded(first.cdp);
  await first.page.goto(base);
  await settled(first.page);
  const rows = [count("own JS of the first view", app, 30000, "B"), 
    // files.test.mjs limits it, by what Node makes of the modules, which is 2 % less than what is sent.
    { what: "all own JS", is: app + more, budget: 45000, unit: "B" }, count("CSS, uPlot's with it", css, 8000, "B"),
    count("HTML and words, without answers", bare, 5000, "B"),
    count("first view", net.sum(), 80000, "B"), count("first view", net.all().length, 6, "requests")];
  const again = await newPage(browser, PHONE, first.context);
  const second = await loaded(again.cdp);
  await again.page.goto(base);
  await settled(again.page);
  rows.push(count("repeat view, without answers", second.sum() - (gzipSync(html).length - bare), 8000, "B"), count("repeat view: HTML and the stream", second.all().length, 2, "requests"),
    { what: "repeat view, with the answers of today until now", is: second.sum(), budget: 8000, unit: "B" });
  await first.close();
  return rows;
}

/** Of the sun, at an instant. @param {number} t */
const powerAt = (t) => 1200 + 10 * (t % 80);

/** The demo behind a proxy whose stream sends what the test says. */
async function ownStream(base) {
  const readers = new Set();
  const proxy = await startProxy(base, { own: (req, res) => {
    if (!String(req.url).startsWith("/v1/stream")) return false;
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    res.write("retry: 3000\n\n");
    readers.add(res);
    res.on("close", () => readers.delete(res));
    return true;
  } });
  let t = Math.floor(Date.now() / 1000);
  /** Sends n samples, five seconds apart, and what they make of today. */
  const send = (n) => {
    for (let i = 0; i < n; i++) {
      t += 5;
      const s = { t, pv_w: powerAt(t), load_w: 700, battery_w: 300, grid_w: 1000 - powerAt(t), soc_pct: 55 };
      const events = `id: ${t}000\nevent: sample\ndata: ${JSON.stringify({ ...s, flows: flowsOf(s) })}\n\nevent: today\ndata: ${JSON.stringify({ pv_kwh: t / 1e9 })}\n\n`;
      for (const r of readers) r.write(events);
    }
    return t;
  };
  return { ...proxy, send, there: () => until(() => readers.size > 0) };
}

/** Sends samples, few at a time, and waits until the page has drawn them. @param {any} stream @param {import("playwright-core").Page} page @param {number} n */
async function live(stream, page, n) {
  await stream.there();
  for (let sent = 0; sent < n; sent += 5) {
    const t = stream.send(5);
    // The picture has the power of the last one.
    const want = (powerAt(t) / 1000).toFixed(2);
    await page.waitForFunction((text) => [...document.querySelectorAll(".flow .solar .value tspan")].some((e) => e.textContent === text), want, { polling: 20 });
  }
}

/** How much has moved by itself, over all views, and while samples come. @returns {Promise<Row[]>} */
async function shifts(base, browser) {
  const stream = await ownStream(base);
  const rows = [];
  for (const [name, size] of /** @type {const} */ ([["phone", PHONE], ["wide screen", WIDE]])) {
    let sum = 0;
    for (const view of VIEWS) {
      const { page, close } = await newPage(browser, size);
      await page.addInitScript(() => {
        globalThis.moved = [];
        new globalThis.PerformanceObserver((list) => list.getEntries().forEach((e) => globalThis.moved.push([e.value, ...e.sources.map((s) => `${s.node ? `${s.node.nodeName} ${s.node.id || s.node.className || ""}` : ""} from ${Math.round(s.previousRect.y)} to ${Math.round(s.currentRect.y)}`)]))).observe({ type: "layout-shift", buffered: true });
      });
      await page.goto(`${stream.base}/#${view}`);
      await settled(page);
      if (view === "now") {
        await page.evaluate(() => dispatchEvent(new Event("later")));
        await live(stream, page, 20);
      }
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      for (const [value, ...of] of await page.evaluate(() => globalThis.moved)) {
        sum += value;
        console.log(`# ${name}, ${view}: ${value.toFixed(4)} moved: ${of.join(", ")}`);
      }
      await close();
    }
    rows.push(count(`moved by itself, all views, ${name}`, Math.round(sum * 1e4) / 1e4, 0, "CLS"));
  }
  stream.stop();
  return rows;
}

/** What a thousand samples leave behind. @returns {Promise<Row[]>} */
async function memory(base, browser) {
  const stream = await ownStream(base);
  const { page, cdp, close } = await newPage(browser, PHONE);
  await page.goto(stream.base);
  await settled(page);
  const heap = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    await cdp.send("HeapProfiler.collectGarbage");
    return (await cdp.send("Runtime.getHeapUsage")).usedSize;
  };
  // Ten minutes of samples are kept, and functions are compiled when they are used.
  await live(stream, page, 600);
  const before = await heap();
  await live(stream, page, 1000);
  const grown = (await heap()) - before;
  await close();
  stream.stop();
  return [count("heap, grown by 1,000 samples", Math.round(grown / 1000), 500, "kB")];
}

/** @param {string} base @param {import("playwright-core").Browser} browser @returns {Promise<Row[]>} */
export async function counted(base, browser) {
  return [...await transfer(base, browser), ...await shifts(base, browser), ...await memory(base, browser)];
}
