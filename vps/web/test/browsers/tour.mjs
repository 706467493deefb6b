// The first view, what is live, and a day, in a browser other than Chromium (firefox or webkit), against the real program.
import test from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { startDemo, violations, allText, until, NONSENSE } from "../harness.mjs";
import { startFirefox } from "./firefox.mjs";
import { startWebKit } from "./webkit.mjs";

const which = process.argv[2];
const start = { firefox: startFirefox, webkit: startWebKit }[which];
const out = process.env.OUT;

test(`the first view, live and a day in ${which}`, async (t) => {
  const demo = await startDemo();
  t.after(demo.stop);
  const { name, page, wrong, close } = await start(demo.base);
  let closed;
  const end = () => (closed ||= close());
  t.after(end);
  t.diagnostic(name);
  await page.size(390, 844);

  const settled = () => until(() => page.evaluate(() => document.querySelector("main .card") && !document.querySelector("[aria-busy=true]")
    && [...document.querySelectorAll("sun-plot")].every((p) => p.querySelector("canvas") && p.getAttribute("aria-label"))));
  /** What holds for every view. */
  const good = async (view) => {
    await settled();
    assert.doesNotMatch(await allText(page), NONSENSE, view);
    const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide[0] <= wide[1], `${view} scrolls sideways: ${wide}`);
    const plots = await page.evaluate(() => [...document.querySelectorAll("sun-plot canvas")].map((c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v)));
    assert.ok(plots.length && plots.every(Boolean), `${view}: plots that are drawn: ${plots}`);
    assert.deepEqual(await violations(page), [], view);
    if (!out) return;
    mkdirSync(out, { recursive: true });
    writeFileSync(`${out}/${which}-${view}.png`, await page.screenshot());
  };

  await page.goto(`${demo.base}/`);
  await good("now");
  const shown = () => page.evaluate(() => document.querySelector(".flow").getAttribute("aria-label"));
  const before = await shown();
  await until(async () => (await shown()) !== before);
  await until(() => page.evaluate(() => /Live/.test(document.querySelector(".pill").innerText)));

  // Three days ago: a day that is over, as the server names it.
  const date = await page.evaluate(async () => (await (await fetch(`v1/energy?device_id=demo&resolution=day&from=${new Date(Date.now() - 3 * 864e5).toISOString().slice(0, 10)}`)).json()).labels[0]);
  await page.evaluate((d) => void (location.hash = `day/${d}`), date);
  await until(() => page.evaluate(() => {
    document.querySelector("main.view-day #hours button[aria-pressed=false]")?.click();
    return document.querySelector("#hours tbody") !== null;
  }));
  await good("day");
  const labels = await page.evaluate(async (d) => (await (await fetch(`v1/energy?device_id=demo&resolution=hour&from=${d}&to=${d}`)).json()).labels, date);
  assert.equal(await page.evaluate(() => document.querySelectorAll("#hours tbody tr").length), labels.length);
  await end();
  assert.deepEqual(wrong, []);
});
