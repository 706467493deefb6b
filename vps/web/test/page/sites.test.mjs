// Several inverters that are looked at like one: a site is chosen where a device is, and has its sums in every view.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, show, settled, allText, violations, until, NONSENSE } from "../harness.mjs";
import { startServer, VIEWER } from "../server.mjs";
import { houseSamples, slowEdge, isShown } from "../house.mjs";

const ZONE = "Europe/Brussels";
const EVERY = 300;
const GARAGE = "garage-token-0123456789";
const end = Math.floor(Date.now() / 1000 / EVERY) * EVERY;
let browser;
let server;
before(async () => {
  browser = await startBrowser();
  server = await startServer({ devices: [`${GARAGE}:garage`, "shed-token-0123456789:shed"], viewers: [VIEWER, "alone-0123456789abcdef:roof", "pair-0123456789abcdef:roof+shed"] });
  const edge = slowEdge(EVERY, ZONE);
  await server.ingest(houseSamples(end - 20 * 86400, end, EVERY), edge);
  // Without a meter and without a battery, behind the meter of the first one; half as much sun.
  const garage = (s) => ({ device_id: "garage", ts: s.ts, pv_power_w: s.pv_power_w / 2, pv_total_kwh: s.pv_total_kwh / 2, values: {}, battery_power_w: null, battery_soc_pct: null, load_power_w: null, export_power_w: null });
  await server.ingest(houseSamples(end - 20 * 86400, end, EVERY).map(garage), edge, GARAGE);
  server.command("site", "set", "home", "--device", "roof,garage");
  server.command("site", "set", "all", "--device", "roof,garage,shed");
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const look = async (o = {}) => {
  const opened = await open(server.base, { hash: `t=${VIEWER}`, refused: true, ...o });
  await opened.page.waitForSelector(".flow");
  return opened;
};

/** Waits until the page is about a site. */
const about = (page, name) => page.waitForFunction((n) => document.querySelector("h1").textContent === n && !document.querySelector("main [aria-busy=true]"), name);

test("a site is chosen where a device is, and every view has its sums", async () => {
  const { page, wrong, close } = await look({ width: 390, height: 844 });
  await page.locator("header .brand").click();
  await page.waitForSelector("#sites .fleet li");
  assert.match(await page.locator("#sites").innerText(), /home\s+garage, roof/);
  assert.deepEqual(await violations(page), []);
  await page.locator("#sites a").filter({ hasText: "home" }).click();
  await about(page, "home");
  for (const view of ["now", "day", "month", "year", "all", "device"]) {
    await show(page, `${view}?d=!home`);
    await about(page, "home");
    assert.doesNotMatch(await allText(page), NONSENSE, view);
    assert.deepEqual(await violations(page), [], view);
    // It goes on to the other views of the site.
    assert.ok(await page.locator(".tabs a").evaluateAll((all) => all.every((a) => a.getAttribute("href").endsWith("?d=!home"))), view);
  }
  assert.deepEqual(wrong, []);
  await close();
});

test("numbers of a site are those of the API, and not those of one of its inverters", async () => {
  const answers = new Map();
  const note = (j, url) => {
    if (url.searchParams.get("site")) answers.set(`${url.pathname} ${url.searchParams.get("resolution")}`, j);
    return j;
  };
  const { page, wrong, close } = await look({ answers: { "/v1/energy": note, "/v1/realtime": note, "/v1/series": note } });
  await show(page, "month?d=!home");
  await about(page, "home");
  const total = answers.get("/v1/energy day").totals;
  const shown = await page.locator("#totals .kpi dd span:first-child").allInnerTexts();
  for (const [i, name] of ["pv_kwh", "load_kwh", "export_kwh", "import_kwh"].entries()) assert.ok(isShown(shown[i], total[name]), `${name}: ${shown[i]} and ${total[name]}`);
  assert.equal(answers.get("/v1/energy day").site, "home");
  await show(page, "now?d=!home");
  await about(page, "home");
  await until(() => answers.has("/v1/realtime null"));
  const now = await server.get("/v1/realtime?site=home");
  const roof = await server.get("/v1/realtime?device_id=roof");
  const row = async () => page.locator(".flow .node.solar .value").textContent();
  await until(async () => isShown((await row()).replace("kW", " kW").replace(/(\d)\s*W/, "$1 W"), now.pv_power_w));
  assert.ok(now.pv_power_w >= roof.pv_power_w && (now.pv_power_w > roof.pv_power_w || roof.pv_power_w === 0));
  // The last ten minutes are means of minutes: a site has no samples.
  await page.locator("details.card summary").filter({ hasText: "Last 10 minutes" }).click();
  await until(() => answers.has("/v1/series 1m"));
  assert.deepEqual(wrong, []);
  await close();
});

test("a link to a site opens it at once, and what there is not says so", async () => {
  const { page, wrong, close } = await look();
  const again = await page.context().newPage();
  await again.goto(`${server.base}/#device?d=!home`);
  await about(again, "home");
  await again.waitForSelector("#site .fleet li:nth-child(2)");
  assert.match(await again.locator("#sums").innerText(), /sum of its inverters[\s\S]*Strings, phases, temperatures, registers and counters/);
  await again.locator("#site a").filter({ hasText: "garage" }).click();
  await about(again, "garage");
  assert.equal(await again.evaluate(() => location.hash), "#now?d=garage");
  await again.goto(`${server.base}/#now?d=!nothing-such`);
  await again.waitForFunction(() => ["garage", "roof"].includes(document.querySelector("h1").textContent) && document.querySelector(".flow"));
  assert.deepEqual(wrong, []);
  await close();
});

test("who is missing is named where there is no sum", async () => {
  const { page, wrong, close } = await look({ width: 390, height: 844 });
  for (const [view, card] of [["now", "#power"], ["now", "#today"], ["now", "#curve"], ["day", "#totals"], ["day", "#hours"], ["month", "#bars"]]) {
    await show(page, `${view}?d=!all`);
    await about(page, "all");
    await until(async () => /Missing of shed: Solar/.test(await page.locator(card).innerText()));
    assert.doesNotMatch(await page.locator(card).innerText(), /Missing of (roof|garage)/, `${view} ${card}`);
  }
  await page.locator("header .brand").click();
  await page.waitForSelector("#sites .fleet li");
  assert.match(await page.locator("#sites li").filter({ hasText: "all" }).first().innerText(), /–[\s\S]*shed: It has not sent anything yet/);
  assert.deepEqual(wrong, []);
  await close();
});

test("a site that a token may not read whole is not there", async () => {
  for (const token of ["pair-0123456789abcdef", "alone-0123456789abcdef"]) {
    const asked = [];
    const { page, wrong, close } = await look({ hash: `t=${token}`, before: async (p) => p.on("request", (r) => asked.push(r.url())) });
    await show(page, "now?d=!home");
    await page.waitForFunction(() => ["roof", "shed"].includes(document.querySelector("h1").textContent) && document.querySelector(".flow"));
    if (token.startsWith("pair")) {
      await show(page, "fleet");
      await page.waitForSelector(".fleet li");
      assert.equal(await page.locator("#sites").count(), 0);
    } else assert.ok(!asked.some((u) => /sites/.test(u)), "who has one inverter asks for no sites");
    assert.doesNotMatch(await allText(page), /garage/);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("sites that answer nonsense leave the page as it is", async () => {
  const bad = [{ sites: null }, { sites: [null, 1, {}, { name: "x" }, { name: "<b>y</b>", devices: ["nobody"] }, { name: "home", devices: ["roof", "garage"] }] }, [], { status: 500, body: { detail: "broken" } }];
  for (const answer of bad) {
    const { page, wrong, close } = await look({ answers: { "/v1/sites": () => answer } });
    await show(page, "fleet");
    await page.waitForSelector(".fleet li");
    assert.doesNotMatch(await allText(page), NONSENSE);
    assert.equal(await page.locator("#sites b b").count(), 0);
    await show(page, "day");
    await settled(page);
    assert.deepEqual(wrong, []);
    await close();
  }
});
