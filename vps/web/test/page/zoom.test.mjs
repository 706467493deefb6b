// The zoom of the Day view in a real browser, with a real mouse, real fingers and keys: what is shown of the day is what was
// meant, on both charts, and everything in words stays that of the day.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, show, settled, touch, until } from "../harness.mjs";
import { startServer, DEVICE, VIEWER } from "../server.mjs";
import { houseSamples, slowEdge, clocksChange } from "../house.mjs";

const ZONE = "Europe/Brussels";
const EVERY = 300;
const HOUR = 3600;
const end = Math.floor(Date.now() / 1000 / EVERY) * EVERY;
const dateOf = (s) => new Intl.DateTimeFormat("en-CA", { timeZone: ZONE }).format(s * 1000);
const daysAgo = (n) => dateOf(Date.parse(`${dateOf(end)}T12:00:00Z`) / 1000 - n * 86400);
// Two days of 24 hours that are over.
const ago = [2, 3, 4].find((n) => ![n, n - 1].some((d) => clocksChange(ZONE, daysAgo(d))));
const [date, next] = [daysAgo(ago), daysAgo(ago - 1)];
const [hole, holed] = [Date.parse(`${date}T09:00:00Z`) / 1000, Date.parse(`${date}T12:00:00Z`) / 1000];
let browser;
let server;
before(async () => {
  browser = await startBrowser();
  server = await startServer();
  await server.ingest(houseSamples(end - 7 * 86400, end, EVERY, (t) => t >= hole && t < holed), slowEdge(EVERY, ZONE));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A test with a page of its own, on a day. */
const onPage = (name, o, f) => test(name, async () => {
  const opened = await open(server.base, { hash: `t=${VIEWER}`, refused: true, ...o });
  await opened.page.waitForSelector(".flow");
  await look(opened.page, o.view || `day/${date}`);
  await f(opened.page);
  assert.deepEqual(opened.wrong, []);
  await opened.close();
});

async function look(page, view) {
  await show(page, view);
  await page.evaluate(() => document.querySelector("sun-plot").scrollIntoView({ block: "center" }));
}

/** What the charts of the day show, s since 1970: one span, because they share it. */
async function span(page) {
  const all = await page.evaluate(() => [...document.querySelectorAll("#curve sun-plot")].map((p) => [p.chart.scales.x.min, p.chart.scales.x.max]));
  assert.equal(all.length, 2, "the curve and the strip");
  assert.deepEqual(all[1], all[0]);
  return all[0];
}

/** Where an instant is on the screen, and the middle of the chart's height. */
const at = (page, t) => page.evaluate((s) => {
  const u = document.querySelector("#curve sun-plot").chart;
  const box = u.over.getBoundingClientRect();
  return [box.left + u.valToPos(s, "x"), box.top + box.height / 2];
}, t);

/** The tooltip, "" without one. */
const tip = (page) => page.evaluate(() => {
  const box = document.querySelector("#curve sun-plot .tip");
  return box.hidden ? "" : box.innerText.replace(/\s+/g, " ");
});

/** Waits for a tooltip: moves come with the next picture. */
const tips = async (page, wanted) => until(async () => {
  const text = await tip(page);
  if (!wanted.test(text)) throw new Error(`the tooltip is ${JSON.stringify(text)}`);
  return true;
});

const close = (a, b, s, what) => assert.ok(Math.abs(a - b) <= s, `${what}: ${a} is ${a - b} s from ${b}`);
const whole = { from: 0, to: 0 };

/** What a pixel is worth, s. */
const pixel = (page) => page.evaluate(() => {
  const u = document.querySelector("#curve sun-plot").chart;
  return (u.scales.x.max - u.scales.x.min) / u.over.clientWidth;
});

const button = (page) => page.locator("#curve button.unzoom");

async function isWhole(page) {
  const [from, to] = await span(page);
  assert.equal(to - from, 86400);
  assert.equal(dateOf(from), date);
  await until(async () => (await button(page).count()) === 0);
  Object.assign(whole, { from, to });
}

async function drag(page, from, to) {
  const [a, b] = [await at(page, from), await at(page, to)];
  await page.mouse.move(...a);
  await page.mouse.down();
  await page.mouse.move((a[0] + b[0]) / 2, a[1] + 3, { steps: 3 });
  await page.mouse.move(b[0], b[1] + 5, { steps: 3 });
  await page.mouse.up();
}

onPage("the mouse selects a span, a double click or the button shows the day again", {}, async (page) => {
  await isWhole(page);
  // The sentence comes after the picture.
  const words = () => until(() => page.evaluate(() => {
    const sentence = document.querySelector("#curve sun-plot").getAttribute("aria-label");
    return sentence && [sentence, document.querySelector("#totals").innerText];
  }));
  const table = async () => {
    await page.locator("#curve .card-head button[aria-pressed=false]").click();
    const text = await page.locator("#curve table").innerText();
    await page.locator("#curve .card-head button[aria-pressed=true]").click();
    await page.waitForSelector("#curve sun-plot canvas");
    await settled(page);
    return text;
  };
  const [before, rows] = [await words(), await table()];
  const [from, to] = [whole.from + 14 * HOUR, whole.from + 18 * HOUR];
  const s = 2 * (await pixel(page));
  await drag(page, from, to);
  const shown = await span(page);
  close(shown[0], from, s, "from");
  close(shown[1], to, s, "to");
  assert.deepEqual(await words(), before, "what is in words is of the day");
  assert.equal(await table(), rows, "the table is of the day");
  assert.deepEqual(await span(page), shown, "the span is kept");
  assert.equal(await page.locator(".u-select:visible").evaluateAll((all) => all.filter((e) => e.offsetWidth).length), 0, "the selection is over");
  // The tooltip is that of the five minutes below the mouse, with the numbers of the API.
  const t = from + 2 * HOUR + 150;
  await page.mouse.move(...await at(page, t));
  const series = await server.get(`/v1/series?device_id=${DEVICE}&from=${date}&to=${date}&resolution=5m`);
  const i = (t - 150 - series.start) / 300;
  const clock = (x) => new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" }).format(x * 1000);
  const load = series.columns.load_w[i];
  await tips(page, new RegExp(`${clock(t - 150)}–${clock(t + 150)}.*Home ${(load / 1000).toFixed(2)} kW`));
  // Another way to draw the day, and another theme, show the same span.
  await page.locator("#curve .switch button").nth(1).click();
  assert.deepEqual(await span(page), shown);
  await page.keyboard.press("d");
  await until(async () => (await page.evaluate(() => document.documentElement.dataset.theme)) === "dark");
  assert.deepEqual(await span(page), shown);
  // In the span another one.
  await drag(page, from + HOUR, from + 2 * HOUR);
  close((await span(page))[0], from + HOUR, s, "the second from");
  await page.mouse.dblclick(...await at(page, from + 1.5 * HOUR));
  await isWhole(page);
  // A click with a hand that is not quite still is none.
  await drag(page, from, from + 4 * await pixel(page));
  await isWhole(page);
  // The button, by keys.
  await drag(page, from, to);
  await button(page).waitFor();
  await page.evaluate(() => document.querySelector("#curve .switch button").focus());
  await page.keyboard.press("Shift+Tab");
  while (!await button(page).evaluate((b) => b === document.activeElement)) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await isWhole(page);
  // Another day begins whole.
  await drag(page, from, to);
  await show(page, `day/${next}`);
  assert.equal((await span(page))[1] - (await span(page))[0], 86400);
});

/** Scrolls back when the page has come to rest. */
async function backToChart(page) {
  let was = -1;
  await until(async () => {
    const now = await page.evaluate(() => window.scrollY);
    return was === (was = now);
  });
  await page.evaluate(() => document.querySelector("#curve sun-plot").scrollIntoView({ block: "center" }));
}

/** Two fingers, from and to, in steps. */
const two = (page, a, b, c, d, y) => touch(page, [[a, y]], [[a, y], [b, y]], ...[0.25, 0.5, 0.75, 1].map((p) => [[a + (c - a) * p, y], [b + (d - b) * p, y + 4 * p]]), [[c, y]], []);

for (const width of [390, 800]) {
  onPage(`fingers: a cursor that stays, pinch, two that move, tap twice, at ${width} px`, { touch: true, width, height: 844 }, async (page) => {
    await isWhole(page);
    const noon = whole.from + 14 * HOUR;
    const [x, y] = await at(page, noon);
    // One finger along the chart is the cursor.
    await touch(page, [[x - 80, y]], [[x - 60, y + 1]], [[x - 30, y + 2]], [[x, y + 2]]);
    await tips(page, /^(13:5|14:0)\d–/);
    await touch(page, [[x, y]], []);
    await isWhole(page);
    // A tap keeps it, also while the page scrolls.
    const [tx] = await at(page, noon + 2 * HOUR);
    await touch(page, [[tx, y]], []);
    await tips(page, /^(15:5|16:0)\d–/);
    const top = await page.evaluate(() => window.scrollY);
    await touch(page, [[x, y]], [[x, y - 30]], [[x, y - 60]], [[x, y - 120]], []);
    await until(async () => (await page.evaluate(() => window.scrollY)) > top);
    await tips(page, /^(15:5|16:0)\d–/);
    await isWhole(page);
    await backToChart(page);
    // Two fingers that part: the time between them stays between them.
    const y2 = (await at(page, noon))[1];
    await two(page, x - 25, x + 25, x - 75, x + 75, y2);
    const zoomed = await span(page);
    close(zoomed[1] - zoomed[0], 8 * HOUR, HOUR / 4, "three times as large");
    const p = await pixel(page);
    close((zoomed[1] - zoomed[0]) * ((x - (await at(page, zoomed[0]))[0]) / ((await at(page, zoomed[1]))[0] - (await at(page, zoomed[0]))[0])) + zoomed[0], noon, 3 * p, "the middle");
    await button(page).waitFor();
    // Two fingers that move together move it.
    await two(page, x - 50, x + 30, x - 10, x + 70, y2);
    const moved = await span(page);
    close(moved[1] - moved[0], zoomed[1] - zoomed[0], 60, "as long as before");
    close(moved[0], zoomed[0] - 40 * p, 3 * p, "moved by 40 pixels");
    // Not beyond the day.
    for (let i = 0; i < 12; i++) await two(page, x - 60, x - 20, x + 60, x + 100, y2);
    assert.equal((await span(page))[0], whole.from);
    // The cursor is where the finger is.
    const t = whole.from + 4 * HOUR;
    await touch(page, [[(await at(page, t))[0] + 30, y2]], [[(await at(page, t))[0] + 15, y2]], [await at(page, t)], []);
    await tips(page, /^(03:5|04:0)\d–/);
    // Scrolling does not zoom.
    const still = await span(page);
    await touch(page, [[x, y2]], [[x, y2 - 30]], [[x, y2 - 90]], []);
    assert.deepEqual(await span(page), still);
    await backToChart(page);
    // Tapping twice is the whole day; once is not.
    const y3 = (await at(page, t))[1];
    await touch(page, [[x, y3]], []);
    assert.deepEqual(await span(page), still);
    await page.waitForTimeout(600);
    await touch(page, [[x, y3]], [], [[x + 3, y3]], []);
    await isWhole(page);
    // Two fingers that come together farther than the day are the day.
    await two(page, x - 90, x + 70, x - 30, x + 10, y3);
    await isWhole(page);
  });
}

onPage("keys zoom around the cursor, step along it, and show the day again", {}, async (page) => {
  await isWhole(page);
  const t = whole.from + 15 * HOUR + 150;
  await page.mouse.move(...await at(page, t));
  await page.keyboard.press("+");
  await page.keyboard.press("=");
  const zoomed = await span(page);
  close(zoomed[1] - zoomed[0], 6 * HOUR, 1, "twice by two");
  close((t - zoomed[0]) / 6, (t - whole.from) / 24, 300, "around the cursor");
  await tips(page, /^15:00–15:05/);
  await button(page).waitFor();
  await page.keyboard.press("-");
  close((await span(page))[1] - (await span(page))[0], 12 * HOUR, 1, "half of it back");
  await tips(page, /^15:00–15:05/);
  for (let i = 0; i < 12; i++) await page.keyboard.press("+");
  close((await span(page))[1] - (await span(page))[0], HOUR / 2, 1, "not less than half an hour");
  // Steps go on beyond the edge.
  for (let i = 0; i < 12; i++) await page.keyboard.press("Shift+ArrowRight");
  await tips(page, /^16:00–16:05/);
  const after = await span(page);
  assert.ok(after[0] <= whole.from + 16 * HOUR && after[1] >= whole.from + 16 * HOUR + 150 && after[1] - after[0] < HOUR, String(after));
  await page.keyboard.press("0");
  await isWhole(page);
  await tips(page, /^16:00–16:05/);
  await page.keyboard.press("-");
  await isWhole(page);
  // Keys of the browser are the browser's.
  await page.keyboard.press("Control+Shift+ArrowRight");
  await tips(page, /^16:00–16:05/);
});

/** Reports for each of these instants whether the canvas has anything at its upper edge that is darker than that. */
const painted = (red) => (page, ...times) => page.evaluate(([list, most]) => {
  const u = document.querySelector("#curve sun-plot").chart;
  const rows = Math.round(u.bbox.height * 0.03);
  return list.map((t) => {
    const x = Math.round(u.valToPos(t, "x", true));
    const { data } = u.ctx.getImageData(x - 1, Math.round(u.bbox.top) + 2, 3, rows);
    return data.some((v, i) => i % 4 === 3 && v > 0 && data[i - 3] < most);
  });
}, [times, red]);
const marked = painted(256);
// The grid is light.
const dark = painted(200);

/** The labels of both axes. */
const labels = (page) => page.evaluate(() => document.querySelector("#curve sun-plot").chart.axes.map((a) => a._values.filter(Boolean)));

onPage("a gap is hatched where it is, and no part of the day has an axis without labels", {}, async (page) => {
  await isWhole(page);
  for (const [from, to] of [[hole - HOUR / 2, holed + HOUR / 2], [hole - HOUR, hole + HOUR], [holed - HOUR, holed + 2 * HOUR]]) {
    await drag(page, from, to);
    const inside = (t) => t > from + 300 && t < to - 300;
    for (const [t, wanted] of [[hole - 1200, false], [hole + 1200, true], [(hole + holed) / 2, true], [holed - 1200, true], [holed + 1200, false]]) {
      if (inside(t)) assert.deepEqual(await marked(page, t), [wanted], `${(t - hole) / HOUR} h after the gap's begin`);
    }
    await page.keyboard.press("0");
    await isWhole(page);
  }
  // Nothing but the gap.
  await drag(page, hole + HOUR, hole + 2 * HOUR);
  assert.deepEqual(await marked(page, hole + 1.2 * HOUR, hole + 1.8 * HOUR), [true, true]);
  let [x, y] = await labels(page);
  assert.ok(x.length >= 2 && y.length >= 2, `${x} and ${y}`);
  await page.keyboard.press("0");
  for (const hours of [12, 7, 3, 1.2, 0.5, 0.1]) {
    for (const from of [whole.from, whole.from + 3 * HOUR, whole.to - hours * HOUR]) {
      await drag(page, Math.min(from, whole.to - hours * HOUR) + 1, from + hours * HOUR - 1);
      [x, y] = await labels(page);
      assert.ok(x.length >= 2 && y.length >= 2, `${hours} h: ${x} and ${y}`);
      await page.keyboard.press("0");
    }
  }
});

onPage("labels do not overlap on a narrow screen, however long the span", { width: 320, height: 640 }, async (page) => {
  await isWhole(page);
  for (const hours of [23, 20, 12, 8, 5, 3, 2, 1, 0.5]) {
    await page.keyboard.press("0");
    await drag(page, whole.from + 1, whole.from + hours * HOUR);
    const found = await page.evaluate(() => {
      const u = document.querySelector("#curve sun-plot").chart;
      return u.axes[0]._splits.map((s) => u.valToPos(s, "x"));
    });
    assert.ok(found.length >= 2, `${hours} h: ${found}`);
    for (let i = 1; i < found.length; i++) assert.ok(found[i] - found[i - 1] >= 38, `${hours} h: ${found}`);
  }
});

onPage("today: now is where it is, and what is yet to come is never alone", { view: "day" }, async (page) => {
  const [from, to] = await span(page);
  const now = await page.evaluate(() => Date.now() / 1000);
  await drag(page, Math.max(from + 1, now - HOUR), Math.min(to - 1, now + HOUR));
  const p = await pixel(page);
  const seen = await page.evaluate(() => Date.now() / 1000);
  const found = [];
  for (let t = seen + 4 * p; t > seen - 70; t -= p) if ((await dark(page, t))[0]) found.push(t);
  assert.ok(found.length > 0, "the line of now");
  assert.ok(found.every((t) => t > now - 65 - 3 * p && t < seen + 3 * p), `${found} is not from ${now} to ${seen}`);
  await page.keyboard.press("0");
  await drag(page, (now + 2 * to) / 3, to - 1);
  assert.ok((await span(page))[0] <= Math.max(from, now - 600), `${await span(page)} begins after ${now}`);
});

onPage("only the day zooms", { touch: true }, async (page) => {
  for (const view of ["now", "month", "year"]) {
    await look(page, view);
    const id = view === "now" ? "#curve" : "#bars";
    const scale = () => page.evaluate((i) => Object.values(document.querySelector(`${i} sun-plot`).chart.scales.x).filter((v) => typeof v === "number"), id);
    const before = await scale();
    const box = await page.locator(`${id} sun-plot .u-over`).first().boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x - 100, y);
    await page.mouse.down();
    await page.mouse.move(x + 20, y, { steps: 4 });
    assert.equal(await page.evaluate(() => [...document.querySelectorAll(".u-select")].filter((e) => e.offsetWidth).length), 0, `${view}: a selection`);
    // Lifted beside a bar, which would open.
    await page.mouse.move(x, box.y + box.height + 60);
    await page.mouse.up();
    await page.keyboard.press("+");
    await two(page, x - 30, x + 30, x - 90, x + 90, y);
    assert.deepEqual(await scale(), before, view);
    assert.equal(await page.locator(".unzoom").count(), 0, view);
  }
});
