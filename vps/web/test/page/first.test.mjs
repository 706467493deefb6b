// In which order the first view comes: the values that came with the page wait for nothing, charts for uPlot, sentences for charts.
import test from "node:test";
import assert from "node:assert/strict";
import { demoAndBrowser, open, settled, until } from "../harness.mjs";

const demo = demoAndBrowser(test);

const UPLOT = /\/uPlot\.iife\.min\.js(\?\d+)?$/;
const drawn = (page) => page.evaluate(() => [...document.querySelectorAll("sun-plot")].map((p) => [p.querySelector("canvas") !== null, p.getAttribute("aria-label") || ""]));

test("values that came with the page are drawn without a stream, an answer or uPlot, and charts when it is there", async () => {
  const held = [];
  let released = false;
  const { page, wrong, close } = await open(demo.base, { width: 390, height: 844, refused: true, before: async (p) => {
    await p.route(UPLOT, (route) => (released ? route.continue() : void held.push(route)));
    await p.route((u) => u.pathname.startsWith("/v1/"), (route) => route.abort());
  } });
  await page.waitForFunction(() => [...document.querySelectorAll(".flow .value")].filter((v) => /\d/.test(v.textContent)).length === 4);
  await page.waitForFunction(() => /\d/.test(document.querySelector("#today .kpi b").textContent));
  await until(() => held.length > 0);
  assert.ok((await drawn(page)).length >= 2);
  for (const [canvas] of await drawn(page)) assert.equal(canvas, false);
  released = true;
  for (const route of held) await route.continue();
  await settled(page);
  for (const [canvas, sentence] of await drawn(page)) assert.ok(canvas && sentence.length > 20, sentence);
  assert.deepEqual(wrong, []);
  await close();
});

test("a uPlot that did not come is asked for again, and charts have their sentences in the meantime", async () => {
  const { page, close } = await open(demo.base, { refused: true, before: async (p) => {
    await p.addInitScript(() => {
      const real = setTimeout;
      globalThis.again = [];
      globalThis.setTimeout = (f, ms, ...more) => (ms === 30000 ? globalThis.again.push(f) : real(f, ms, ...more));
    });
    await p.route(UPLOT, (route) => (/\?1$/.test(route.request().url()) ? route.continue() : route.abort()));
  } });
  await page.waitForFunction(() => document.querySelectorAll("sun-plot").length > 1 && [...document.querySelectorAll("sun-plot")].every((p) => p.getAttribute("aria-label")));
  for (const [canvas] of await drawn(page)) assert.equal(canvas, false);
  await page.evaluate(() => globalThis.again.forEach((f) => f()));
  await settled(page);
  await close();
});

test("the first view does no work of Intl before its charts are drawn", async () => {
  const { page, wrong, close } = await open(demo.base, { zone: "America/New_York", before: async (p) => {
    await p.addInitScript(() => {
      globalThis.early = [];
      for (const name of ["NumberFormat", "DateTimeFormat"]) {
        globalThis.Intl[name] = new Proxy(globalThis.Intl[name], { construct: (real, args) => {
          // uPlot has its own.
          if (!document.querySelector("sun-plot canvas") && !/uPlot/.test(String(new Error().stack))) globalThis.early.push(`${name} ${new Error().stack}`);
          return new real(...args);
        } });
      }
    });
  } });
  await settled(page);
  assert.deepEqual(await page.evaluate(() => globalThis.early), []);
  await page.waitForSelector(".zone"); // and afterwards it has noticed that the zone is another
  assert.deepEqual(wrong, []);
  await close();
});
