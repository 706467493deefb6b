// The budget of the first view as a table: bytes, requests, times on a slow phone, and what it takes while live. It fails on
// nothing: times are only worth something on a machine with nothing else to do.
import { startDemo, startBrowser, settled } from "./harness.mjs";

const demo = await startDemo();
const browser = await startBrowser();
const rows = [];

async function measure(name, cpu, net, hash) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Performance.enable");
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: cpu });
  if (net) await cdp.send("Network.emulateNetworkConditions", { offline: false, ...net });
  let bytes = 0;
  let requests = 0;
  cdp.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
  cdp.on("Network.requestWillBeSent", (e) => (requests += /favicon|icons?\/|manifest/.test(e.request.url) ? 0 : 1));
  const began = Date.now();
  await page.goto(`${demo.base}/#${hash}`, { waitUntil: "commit" });
  await settled(page);
  const charts = Date.now() - began;
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint").map((e) => Math.round(e.startTime))[0]);
  const first = { bytes, requests };
  const metrics = async () => Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  const before = await metrics();
  await page.waitForTimeout(20000);
  const after = await metrics();
  rows.push({ view: name, "first paint ms": paint, "all charts ms": charts, kB: Math.round(first.bytes / 100) / 10, requests: first.requests,
    "live, % of a core": Math.round((after.TaskDuration - before.TaskDuration) * 50) / 10, "heap MB": Math.round(after.JSHeapUsedSize / 1e5) / 10 });
  await context.close();
}

await measure("now, LAN", 1, null, "now");
await measure("now, phone", 4, { latency: 5, downloadThroughput: 3e6, uploadThroughput: 1e6 }, "now");
await measure("now, 4G phone", 4, { latency: 100, downloadThroughput: 5e5, uploadThroughput: 2e5 }, "now");
await measure("year, LAN", 1, null, "year");
console.table(rows);
await browser.close();
demo.stop();
