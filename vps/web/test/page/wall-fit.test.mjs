// A display on the wall cannot be scrolled: each of its views fits, at every size, in every language, with a banner, too.
import test from "node:test";
import assert from "node:assert/strict";
import { demoAndBrowser, open, show, settled } from "../harness.mjs";
import { SCENARIOS } from "../scenarios.mjs";

const demo = demoAndBrowser(test);

const VIEWS = ["now", "day", "month", "year", "all"];
const SIZES = [[1024, 600], [1280, 800], [800, 1280], [1920, 1080]];

/** What of the cards is below the screen, and how high the chart is. */
const measure = (page) => page.evaluate(() => ({ low: Math.max(...[...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().bottom)), height: innerHeight,
  flow: document.querySelector(".flow") ? document.querySelector(".flow").getBoundingClientRect().height : 999,
  chart: Math.max(0, ...[...document.querySelectorAll("#curve sun-plot:not(.strip), #bars sun-plot")].map((p) => p.getBoundingClientRect().height)),
  pressed: [...document.querySelectorAll("main button, main a.button, main input")].filter((e) => e.getClientRects().length).map((e) => e.outerHTML.slice(0, 60)) }));

async function fits(page, name) {
  await settled(page);
  // The height follows what is drawn, a frame later.
  await page.waitForFunction(() => Math.max(...[...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().bottom)) <= innerHeight - 8).catch(async () => assert.fail(`${name}: ${JSON.stringify(await measure(page))}`));
  const m = await measure(page);
  assert.ok(m.chart >= 90 && m.flow >= 260, `${name}: ${JSON.stringify(m)}`);
  assert.deepEqual(m.pressed, [], `${name}: nobody can press what is on a wall`);
}

for (const [width, height] of SIZES) {
  test(`every view of a wall display fits ${width} x ${height}`, async () => {
    for (const lang of height === 600 ? ["en", "de", "nl", "fr"] : ["de"]) { // the smallest has the least room for long words
      const { page, wrong, close } = await open(demo.base, { width, height, query: `?kiosk=1&lang=${lang}` });
      for (const view of VIEWS) {
        await show(page, view);
        await fits(page, `${view} ${lang}`);
      }
      assert.deepEqual(wrong, []);
      await close();
    }
    for (const name of ["offline", "stale", "lost-server", "backlog"]) {
      const { page, close } = await open(demo.base, { width, height, query: "?kiosk=1", hash: "now", answers: SCENARIOS[name]() });
      await page.waitForSelector(".banner");
      await fits(page, name);
      await close();
    }
  });
}

test("a wall display begins with the first of its views, also if it is the only one", async () => {
  for (const views of ["month", "year,now"]) {
    const { page, wrong, close } = await open(demo.base, { width: 1024, height: 600, query: `?kiosk=1&views=${views}&every=3600` });
    await page.waitForSelector(`.kiosk main.view-${views.split(",")[0]}`);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("the settings' button turns the page into a wall display of the first view", async () => {
  const { page, wrong, close } = await open(demo.base, { width: 1024, height: 600, hash: "settings" });
  await settled(page);
  await page.getByRole("button", { name: "Wall display" }).click();
  await page.waitForSelector(".kiosk main.view-now .flow");
  await fits(page, "now");
  assert.deepEqual(wrong, []);
  await close();
});
