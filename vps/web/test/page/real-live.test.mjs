// The page of a real server while an edge delivers: how soon a sample is on it, and what it does while the server is killed and
// comes back.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, settled, until } from "../harness.mjs";
import { startServer, samplesOf, sampleAt, VIEWER } from "../server.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

const now = () => Date.now() / 1000;
const flow = (page) => page.locator(".flow").getAttribute("aria-label");

/** Opens the page of a server with a session. */
async function look(server, o = {}) {
  const opened = await open(server.base, { width: 390, height: 844, hash: `t=${VIEWER}`, refused: true, ...o });
  await settled(opened.page);
  return opened;
}

/** The times of the samples that the chart of the last 10 min has. */
const times = (page) => page.evaluate(() => [...document.querySelector("details sun-plot").chart.data[0]]);

test("a sample is on the page as soon as it is stored, and the stream alone brings it", async (t) => {
  const server = await startServer();
  t.after(server.stop);
  await server.ingest(samplesOf(Math.floor(now()) - 300, Math.floor(now()) - 1, 5));
  const { page, wrong, close } = await look(server);
  // The edge goes on: a page that took long to open is not live by what was sent before.
  await until(async () => {
    await server.ingest([sampleAt(now())]);
    return page.evaluate(() => /Live/.test(document.querySelector(".pill").innerText));
  });
  // Without answers of /v1/realtime nothing but the stream can change the picture: neither its fallback nor another card's question.
  await page.route("**/v1/realtime*", (route) => route.abort());
  const streams = [];
  page.on("request", (r) => r.url().includes("/v1/stream") && streams.push(r.url()));
  await page.evaluate(() => {
    globalThis.seen = [];
    new globalThis.MutationObserver(() => {
      const label = document.querySelector(".flow").getAttribute("aria-label");
      if (!globalThis.seen.some((s) => s.label === label)) globalThis.seen.push({ label, at: Date.now(), age: document.querySelector(".pill .age").textContent });
    }).observe(document.querySelector("#app"), { subtree: true, attributes: true, childList: true, characterData: true });
  });
  const waits = [];
  for (let i = 0; i < 12; i++) {
    const pv = 5010 + 10 * i;
    await server.ingest([sampleAt(now(), { pv_w: pv })]);
    const stored = Date.now();
    const seen = await until(() => page.evaluate((text) => globalThis.seen.find((s) => s.label.includes(text)), `Solar ${(pv / 1000).toFixed(2)}\u00a0kW`));
    waits.push({ wait: seen.at - stored, age: seen.age });
  }
  const sorted = waits.map((w) => w.wait).sort((a, b) => a - b);
  console.log(`from the answer of the ingest to the number on the page: ${sorted[6]} ms (median of 12), ${sorted[11]} ms at most; age shown: ${waits.map((w) => w.age.trim()).join(", ")}`);
  assert.deepEqual(streams, [], "the stream of the beginning lasted");
  assert.deepEqual(wrong, []);
  await close();
});

test("a server that is killed and started again: the page says so, keeps its numbers, and is live again with all that it missed", async (t) => {
  const server = await startServer();
  t.after(server.stop);
  const begin = Math.floor(now()) - 300;
  await server.ingest(samplesOf(begin, Math.floor(now()) - 1, 5));
  const { page, close } = await look(server);
  await page.locator("summary").click();
  await page.waitForSelector("details sun-plot canvas");
  await page.evaluate(() => (globalThis.mark = "the same page"));
  // What comes by the stream has an id; without answers of /v1/realtime it does.
  await page.route("**/v1/realtime*", (route) => route.abort());
  await server.ingest([sampleAt(now(), { pv_w: 6660 })]);
  await until(async () => (await flow(page)).includes("6.66"));
  await page.unroute("**/v1/realtime*");
  const last = Math.floor(now()) + 1;
  const asked = [];
  page.on("request", async (r) => r.url().includes("/v1/stream") && asked.push((await r.allHeaders())["last-event-id"]));

  await server.kill();
  await page.waitForSelector(".banner.bad");
  await page.waitForFunction(() => /No connection to sunspool\. Retrying in \d+\ss\./.test(document.querySelector(".banner.bad").innerText));
  assert.equal(await page.locator(".banner.bad button").innerText(), "Retry now");
  assert.match(await flow(page), /6\.66/, "what was on the screen stays");
  assert.equal(await page.locator(".problem").count(), 0, "what has an answer has no error in its place");
  const attempts = asked.length;
  await until(() => asked.length > attempts + 1); // it goes on trying

  await server.start();
  const missed = samplesOf(last, Math.floor(now()), 5, () => ({ pv_w: 7770 }));
  await server.ingest([...missed, sampleAt(now(), { pv_w: 8880 })]);
  await page.waitForSelector(".banner.bad", { state: "detached" });
  await until(async () => (await flow(page)).includes("8.88"));
  await page.waitForFunction(() => /Live/.test(document.querySelector(".pill").innerText));
  await until(async () => {
    const have = new Set((await times(page)).map((x) => Math.round(x)));
    return missed.every((s) => have.has(Math.round(Date.parse(s.ts) / 1000)));
  });
  await server.ingest([sampleAt(now(), { pv_w: 9990 })]);
  await until(async () => (await flow(page)).includes("9.99"));
  assert.ok(asked.at(-1), `it came back with the id of the last sample that it had: ${JSON.stringify(asked)}`);
  assert.equal(await page.evaluate(() => globalThis.mark), "the same page");
  console.log(`${attempts} attempts until the banner, ${asked.length} in all; ${missed.length} samples were missed, all are in the chart`);
  await close();
});
