// Every view in both themes at every width: no error, no report of the policy, no other host, nothing for axe to find, no
// nonsense, no horizontal scrolling.
import test from "node:test";
import assert from "node:assert/strict";
import { demoAndBrowser, open, show, settled, violations, allText, NONSENSE, PATIENCE_MS } from "../harness.mjs";

const demo = demoAndBrowser(test);

const before100Days = new Date(Date.now() - 100 * 864e5).toISOString().slice(0, 10);
const VIEWS = () => ["now", "day", `day/${before100Days}`, "month", "year", "all", "device", "settings"];
const SIZES = [[360, 780], [768, 1024], [1280, 800]];

for (const theme of ["light", "dark"]) {
  for (const [width, height] of SIZES) {
    test(`all views at ${width} px, ${theme}`, async () => {
      const { page, wrong, close } = await open(demo.base, { theme, width, height });
      for (const view of VIEWS()) {
        await show(page, view);
        assert.deepEqual(await violations(page), [], view);
        assert.doesNotMatch(await allText(page), NONSENSE, view);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} scrolls sideways`);
        const small = await page.evaluate(() => [...document.querySelectorAll("button, .tabs a, a.button, input:not([type=radio])")].filter((e) => e.offsetWidth && (e.offsetHeight < 44 || e.offsetWidth < 40)).map((e) => `${e.outerHTML.slice(0, 80)} ${e.offsetWidth}x${e.offsetHeight}`));
        assert.deepEqual(small, [], `${view}: targets`);
      }
      assert.deepEqual(wrong, []);
      await close();
    });
  }
}

test("a wall display of 1024 x 600 does not scroll, and has a clock", async () => {
  for (const [width, height] of [[1024, 600], [1280, 800], [800, 1280]]) {
    const { page, wrong, close } = await open(demo.base, { width, height, query: "?kiosk=1" });
    await settled(page);
    assert.equal(await page.locator(".tabs").count(), 0);
    assert.match(await page.locator(".wall b").innerText(), /^\d\d:\d\d$/);
    const low = await page.evaluate(() => Math.max(...[...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().bottom)));
    assert.ok(low <= height, `${width} x ${height}: the lowest card ends at ${low}`);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("the page works at 320 px, at 200 %, with forced colours and without motion", async () => {
  for (const o of [{ width: 320, height: 640 }, { width: 640, height: 400 }, { width: 390, height: 844, forced: true }, { width: 390, height: 844, reduced: true }]) {
    const { page, wrong, close } = await open(demo.base, o);
    for (const view of VIEWS()) {
      await show(page, view);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} scrolls sideways at ${o.width}`);
    }
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("each language has its words on every view", async () => {
  for (const lang of ["de", "nl", "fr"]) {
    const { page, wrong, close } = await open(demo.base, { query: `?lang=${lang}`, width: 360, height: 780, lang });
    for (const view of VIEWS()) {
      await show(page, view);
      assert.doesNotMatch(await allText(page), NONSENSE, view);
      assert.doesNotMatch(await allText(page), /\b(tab|state|key|say|error|reason|hop|heat|broken|compare)_[a-z]/, `${view}: a key in place of a word`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} scrolls sideways in ${lang}`);
    }
    assert.equal(await page.evaluate(() => document.documentElement.lang), lang);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("the first view asks for nothing that came with it, and is small", async () => {
  const context = await demo.browser.newContext({ viewport: { width: 390, height: 844 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const p = await context.newPage();
  const session = await context.newCDPSession(p);
  await session.send("Network.enable");
  const sizes = new Map();
  session.on("Network.requestWillBeSent", (e) => sizes.set(e.requestId, { url: e.request.url, size: 0 }));
  session.on("Network.loadingFinished", (e) => sizes.has(e.requestId) && (sizes.get(e.requestId).size = e.encodedDataLength));
  await p.goto(demo.base);
  await settled(p);
  // more.js comes when the first view is there.
  const asked = [...sizes.values()].filter((s) => !/favicon|icons?\/|manifest|\/more\.js$/.test(s.url));
  console.log(asked.map((s) => `${s.size} B ${s.url.replace(demo.base, "")}`).join("\n"));
  if (process.env.PAGE !== "dev") {
    assert.ok(asked.length <= 6, `${asked.length} requests`);
    const bytes = asked.reduce((sum, s) => sum + s.size, 0);
    console.log(`${bytes} B in ${asked.length} requests`);
    assert.ok(bytes <= 80000);
  }
  assert.deepEqual(asked.filter((s) => /\/v1\/(devices|energy|series|realtime)/.test(s.url)), []);
  await context.close();
});
