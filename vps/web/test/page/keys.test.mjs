// Every key, the swipe, and the bar of the views in a real browser: each is pressed, and what it does is seen.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, show, settled, touch, until } from "../harness.mjs";
import { startServer, VIEWER } from "../server.mjs";
import { houseSamples, slowEdge } from "../house.mjs";

const ZONE = "Europe/Brussels";
const EVERY = 300;
const end = Math.floor(Date.now() / 1000 / EVERY) * EVERY;
const dateOf = (s) => new Intl.DateTimeFormat("en-CA", { timeZone: ZONE }).format(s * 1000);
const daysAgo = (n) => dateOf(Date.parse(`${dateOf(end)}T12:00:00Z`) / 1000 - n * 86400);
let browser;
let server;
before(async () => {
  browser = await startBrowser();
  server = await startServer();
  await server.ingest(houseSamples(end - 20 * 86400, end, EVERY), slowEdge(EVERY, ZONE));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A test with a page of its own. */
const onPage = (name, o, f) => test(name, async () => {
  const opened = await open(server.base, { hash: `t=${VIEWER}`, refused: true, ...o });
  await opened.page.waitForSelector(".flow");
  // The keys of a view come with the views.
  await show(opened.page, "day");
  await show(opened.page, "now");
  await f(opened.page);
  assert.deepEqual(opened.wrong, []);
  await opened.close();
});

const address = (page) => page.evaluate(() => location.hash);
const unit = (page) => page.locator("#curve h2 small").innerText();
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const isKiosk = (page) => page.evaluate(() => document.body.classList.contains("kiosk"));
const isFull = (page) => page.evaluate(() => Boolean(document.fullscreenElement));
const tip = (page) => page.evaluate(() => [...document.querySelectorAll("#curve sun-plot .tip")].map((e) => (e.hidden ? "" : e.firstElementChild.textContent)).join(""));

/** Presses a key, and waits until something is different. */
async function changes(page, key, seen) {
  const before = JSON.stringify(await seen(page));
  await page.keyboard.press(key);
  await until(async () => JSON.stringify(await seen(page)) !== before);
}

/** Presses keys, and sees that nothing of all that keys change is different. */
async function changesNothing(page, ...keys) {
  const all = async () => [await address(page), await background(page), await isKiosk(page), await isFull(page), await page.locator(".help").count(),
    await page.evaluate(() => [localStorage.getItem("sunspool"), document.querySelector("#curve .tip:not([hidden])") === null])];
  const before = await all();
  for (const key of keys) await page.keyboard.press(key);
  // As long as a key that does something takes.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100)))));
  assert.deepEqual(await all(), before, keys.join(" "));
}

onPage("each key does what the help says", {}, async (page) => {
  for (const [key, view] of [["2", "day"], ["3", "month"], ["4", "year"], ["5", "all"], ["1", "now"]]) {
    await page.keyboard.press(key);
    await page.waitForSelector(`main.view-${view}`);
    assert.equal(await page.locator(".tabs a[aria-current=page]").getAttribute("href"), `#${view}`);
  }
  // The period, from the first day to today.
  await show(page, `day/${daysAgo(3)}`);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await address(page), `#day/${daysAgo(5)}`);
  await page.keyboard.press("ArrowRight");
  assert.equal(await address(page), `#day/${daysAgo(4)}`);
  await show(page, `day/${dateOf(end - 20 * 86400)}`);
  await changesNothing(page, "ArrowLeft");
  await show(page, `month/${daysAgo(20).slice(0, 7)}`);
  await changesNothing(page, "ArrowLeft");
  await show(page, `year/${daysAgo(0).slice(0, 4)}`);
  await changesNothing(page, "ArrowRight");
  await show(page, "day");
  await changesNothing(page, "ArrowRight");
  // Today, and now.
  await show(page, `day/${daysAgo(9)}`);
  await changes(page, "t", address);
  const today = new RegExp(`\\b${Number(daysAgo(0).slice(8))}\\b`);
  await until(async () => today.test(await page.locator(".navigator h2").innerText()));
  await show(page, "settings");
  await page.keyboard.press("T");
  await page.waitForSelector("main.view-now");
  // The cursor in the chart of the day, in both views that have one.
  const young = dateOf(end) !== dateOf(end - 1800);
  for (const view of [...(young ? [] : ["now"]), `day/${daysAgo(2)}`]) {
    await show(page, view);
    await changes(page, "Shift+ArrowLeft", tip);
    const first = await tip(page);
    await changes(page, "Shift+ArrowLeft", tip);
    await changes(page, "Shift+ArrowRight", tip);
    assert.equal(await tip(page), first);
  }
  // What is compared, three ways, and back.
  const compared = (p) => p.locator("#totals .wordy").innerText();
  const ways = [await compared(page)];
  for (let i = 0; i < 3; i++) {
    await changes(page, "c", compared);
    ways.push((await compared(page)).replace(/ \(.*/, ""));
  }
  assert.equal(new Set(ways.slice(1)).size, 3, ways.join());
  // Theme and unit, and back.
  await changes(page, "d", background);
  await changes(page, "d", background);
  for (const view of [`day/${daysAgo(2)}`, "now"]) {
    await show(page, view);
    const set = () => page.evaluate(() => JSON.parse(localStorage.getItem("sunspool")).unit);
    const was = await set();
    await changes(page, "u", set);
    if (view !== "now") await until(async () => (await unit(page)) === "W");
    await changes(page, "u", set);
    assert.equal(await set(), was);
    if (view !== "now") await until(async () => (await unit(page)) === "kW");
  }
  await changes(page, "f", isFull);
  await changes(page, "f", isFull);
  await changes(page, "k", isKiosk);
  assert.equal(await page.locator(".tabs").count(), 0);
  await changes(page, "k", isKiosk);
  await page.keyboard.press("?");
  await page.waitForSelector(".help");
  // The help names every key that was pressed here.
  const named = await page.locator(".help kbd").allInnerTexts();
  assert.deepEqual(named, ["1 … 5", "← →", "Shift ← →", "+ − 0", "T", "C", "D", "U", "F", "K", "?", "Esc"]);
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator(".help").count()) === 0);
  await page.locator("button[aria-controls=menu]").click();
  await page.waitForSelector("#menu");
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator("#menu").count()) === 0);
});

const ALL = ["2", "3", "ArrowLeft", "Shift+ArrowLeft", "t", "c", "d", "u", "k", "f", "?", "+", "0"];

onPage("in a field, with other keys held, and in a dialog, keys are not the page's", {}, async (page) => {
  await show(page, "device");
  await page.locator("input.search").focus();
  await changesNothing(page, ...ALL.filter((k) => !/Arrow/.test(k)));
  assert.equal(await page.locator("input.search").inputValue(), "23tcdukf?+0");
  await changesNothing(page, "ArrowLeft", "Shift+ArrowLeft");
  await show(page, "settings");
  const chosen = () => page.evaluate(() => document.querySelector("input[name=start]:checked").value);
  await page.locator("input[name=start]").first().focus();
  const start = await chosen();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await chosen(), start, "an arrow is the field's");
  assert.equal(await address(page), "#settings");
  await page.keyboard.press("ArrowLeft");
  await show(page, `day/${daysAgo(2)}`);
  for (const held of ["Control", "Alt", "Meta"]) await changesNothing(page, ...ALL.filter((k) => !(held === "Alt" && /Arrow/.test(k))).map((k) => `${held}+${k}`));
  await page.keyboard.press("?");
  await page.waitForSelector(".help");
  await changesNothing(page, ...ALL);
  // Nothing behind the dialog can be reached.
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest(".help"))), "focus behind the dialog");
  }
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator(".help").count()) === 0);
  await changes(page, "2", (p) => p.locator("main").getAttribute("class").then(async (c) => [c, await address(p)]));
});

onPage("an arrow moves what is wider than the screen", { width: 390, height: 844 }, async (page) => {
  await show(page, "year");
  const heat = page.locator(".heat").first();
  await heat.evaluate((e) => {
    e.tabIndex = 0;
    e.scrollLeft = 0;
    e.focus();
  });
  await page.keyboard.press("ArrowRight");
  await until(async () => (await heat.evaluate((e) => e.scrollLeft)) > 0);
  assert.equal(await address(page), "#year");
});

onPage("a swipe over the name of the period goes to the one before or after", { touch: true, width: 390, height: 844 }, async (page) => {
  const swipe = async (dx, dy = 0) => {
    const box = await page.locator(".navigator .period").boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.evaluate(() => {
      globalThis.lifted = new Promise((done) => ["touchend", "touchcancel"].forEach((kind) => addEventListener(kind, () => setTimeout(done), { once: true })));
    });
    await touch(page, [[x, y]], ...[0.3, 0.6, 1].map((p) => [[x + dx * p, y + dy * p]]), []);
    await page.evaluate(() => globalThis.lifted); // the page handles it when it comes to it
  };
  const name = (p) => p.locator(".navigator h2").innerText();
  const goes = async (dx, wanted) => {
    await swipe(dx);
    await until(async () => (await address(page)) === wanted);
  };
  await show(page, `day/${daysAgo(4)}`);
  await goes(100, `#day/${daysAgo(5)}`);
  await goes(-100, `#day/${daysAgo(4)}`);
  await goes(-100, `#day/${daysAgo(3)}`);
  await settled(page);
  const was = await name(page);
  await swipe(30);
  await swipe(70, 60);
  assert.equal(await name(page), was);
  assert.equal(await address(page), `#day/${daysAgo(3)}`);
  const [month, year] = [daysAgo(20).slice(0, 7), daysAgo(20).slice(0, 4)];
  for (const [view, first, last] of [["month", month, daysAgo(0).slice(0, 7)], ["year", year, daysAgo(0).slice(0, 4)]]) {
    await show(page, `${view}/${first}`);
    if (first !== last) {
      await goes(-100, `#${view}/${last}`);
      await goes(100, `#${view}/${first}`);
    }
    // Nothing was before.
    await swipe(100);
    await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
    assert.equal(await address(page), `#${view}/${first}`);
  }
  await show(page, "day");
  await swipe(-100);
  await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
  assert.equal(await address(page), "#day", "there is no tomorrow");
});

/** Where the parts of the head are. */
const boxes = (page) => page.evaluate(() => Object.fromEntries([["header", "header"], ["tabs", ".tabs"], ["brand", ".brand"], ["right", ".right"]].map(([name, s]) => {
  const r = document.querySelector(s).getBoundingClientRect();
  return [name, { left: r.left, right: r.right, top: r.top, bottom: r.bottom }];
})));
const sizes = (page) => page.evaluate(() => [...document.querySelectorAll(".tabs a")].map((a) => [a.offsetWidth, a.offsetHeight]));

for (const [width, lang] of [[900, "fr"], [1280, "en"], [1800, "de"]]) {
  onPage(`at ${width} px the views are in one row with the head, and stay there`, { width, height: 700, lang, query: `?lang=${lang}`, answers: {
    "/v1/devices": (j) => {
      j.devices.forEach((d) => (d.id === "roof") && (d.name = "A very long name of a home that somebody gave it"));
      return j;
    } } }, async (page) => {
    const b = await boxes(page);
    assert.ok(b.tabs.top >= b.header.top && b.tabs.bottom <= b.header.bottom && b.header.top === 0 && b.header.bottom < 70, JSON.stringify(b));
    assert.ok(b.brand.right <= b.tabs.left && b.tabs.right <= b.right.left && b.right.right <= width, JSON.stringify(b));
    assert.equal((await sizes(page)).length, 5);
    for (const [w, h] of await sizes(page)) assert.ok(w >= 48 && h >= 48, `${w} x ${h}`);
    // Two columns below.
    const columns = await page.evaluate(() => [...document.querySelectorAll(".pair > .column")].map((c) => c.getBoundingClientRect().left));
    assert.ok(columns.length === 2 && columns[1] > columns[0] + 100, String(columns));
    await page.mouse.wheel(0, 600);
    await until(async () => (await page.evaluate(() => window.scrollY)) > 100);
    assert.equal((await boxes(page)).tabs.top, b.tabs.top);
    // In the order of the keys they are before the content.
    assert.ok(await page.evaluate(() => Boolean(document.querySelector(".tabs").compareDocumentPosition(document.querySelector("main")) & 4)));
    assert.deepEqual(await page.evaluate(() => (document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML))), [], "scrolls sideways");
  });
}

for (const width of [320, 390, 899]) {
  onPage(`at ${width} px five tabs are at the foot of the screen, under a thumb`, { width, height: 700 }, async (page) => {
    const b = await boxes(page);
    assert.equal(b.tabs.bottom, 700);
    assert.deepEqual([b.tabs.left, b.tabs.right], [0, width]);
    assert.equal((await sizes(page)).length, 5);
    for (const [w, h] of await sizes(page)) assert.ok(w >= 48 && h >= 48, `${w} x ${h}`);
    // The end of the page is above them.
    await page.evaluate(() => scrollTo(0, 1e6));
    const last = await page.evaluate(() => Math.max(...[...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().bottom)));
    assert.ok(last <= (await boxes(page)).tabs.top, `${last}`);
  });
}
