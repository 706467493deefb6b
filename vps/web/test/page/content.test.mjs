// What a view has beside its charts: the same as words, table, file and picture; the strings; the list of many.
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { demoAndBrowser, open, show, settled, violations, until } from "../harness.mjs";
import { SCENARIOS } from "../scenarios.mjs";

const demo = demoAndBrowser(test);

const DATE = new Date(Date.now() - 2 * 864e5).toISOString().slice(0, 10);

/** What a browser does before it prints, and after. @param {any} page @param {boolean} now */
const printing = (page, now) => page.evaluate((name) => dispatchEvent(new Event(name)), now ? "beforeprint" : "afterprint");

/** Presses a button, and returns the file that it gives: its name and its bytes. */
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

test("each chart has a sentence and a table, which is also what is printed", async () => {
  const { page, wrong, close } = await open(demo.base, { height: 900 });
  for (const view of ["now", `day/${DATE}`, "month", "year", "all"]) {
    await show(page, view);
    if (view === "now") {
      await page.locator("details summary").click();
      await page.waitForSelector("details sun-plot canvas");
      await settled(page);
    }
    await printing(page, true);
    const charts = await page.evaluate(() => [...document.querySelectorAll("main sun-plot, main .flow, main .heat svg")].map((e) => ({ says: e.getAttribute("aria-label"), of: (e.closest(".card").querySelector("h2") || {}).innerText,
      buttons: e.closest(".card").querySelectorAll("button[aria-pressed] .icon").length, prints: e.closest(".card").querySelectorAll(".for-print table tbody tr").length })));
    assert.ok(charts.length >= 2, `${view}: ${charts.length} charts`);
    for (const c of charts) {
      assert.match(c.says, /\d.*|–/, `${view}: ${c.of}`);
      assert.ok(c.says.length > 20 && c.buttons === 1 && c.prints > 0, `${view}: ${JSON.stringify(c)}`);
    }
    await printing(page, false);
    const count = await page.locator("main button[aria-pressed] .icon").count();
    for (let i = 0; i < count; i++) await page.locator("main button[aria-pressed] .icon").nth(i).click();
    await page.waitForFunction((n) => document.querySelectorAll("main .table table").length >= n, count);
    assert.deepEqual(await violations(page), [], view);
    for (let left = count; left > 0; left--) {
      await page.locator("main button[aria-pressed=true] .icon").first().click();
      await page.waitForFunction((n) => document.querySelectorAll("main button[aria-pressed=true] .icon").length < n, left); // or the same would be pressed again
    }
  }
  await printing(page, true);
  await page.emulateMedia({ media: "print" });
  assert.ok(await page.evaluate(() => [...document.querySelectorAll(".for-print")].length > 0 && [...document.querySelectorAll(".for-print")].every((e) => e.offsetHeight > 20)));
  assert.deepEqual(wrong, []);
  await close();
});

test("files have what is on the screen: units in the header, numbers with a point, both times, separated as the language expects", async () => {
  for (const [lang, separator] of [["en", ","], ["de", ";"]]) {
    const { page, wrong, close } = await open(demo.base, { query: `?lang=${lang}`, lang });
    for (const [view, card, rows] of [[`day/${DATE}`, "#curve", 275], [`month/${DATE.slice(0, 7)}`, "#bars", 1], [`year/${DATE.slice(0, 4)}`, "#bars", 1]]) {
      await show(page, view);
      const { name, bytes } = await saved(page, page.locator(`${card} .actions button`).first());
      const lines = bytes.toString("utf8").replace("\ufeff", "").trim().split("\r\n").map((l) => l.split(separator));
      assert.match(name, /^sunspool-[\d-]+\.csv$/);
      assert.equal(lines[0][1], '"UTC"');
      assert.match(lines[0][0], /Europe\/Brussels/);
      for (const head of lines[0].slice(2)) assert.match(head, /^"[^"]+ \((W|kWh|%|EUR|kg)\)"$|^"(Saved|Gespart)"$/, head);
      assert.ok(lines.length > rows, `${view}: ${lines.length} lines`);
      for (const [local, utc, ...cells] of lines.slice(1)) {
        assert.match(local, /^"\d{4}-\d\d(-\d\d( \d\d:\d\d)?)?"$/);
        assert.match(utc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$/);
        for (const c of cells) assert.match(c, /^(-?\d+(\.\d+)?(e-\d+)?)?$/, `${view}: ${c}`);
        assert.equal(cells.length, lines[0].length - 2);
      }
      assert.ok(lines.slice(1).some((l) => Number(l[2]) > 0), view);
    }
    await show(page, `day/${DATE}`);
    const picture = await saved(page, page.locator("#curve .actions button").nth(1));
    assert.equal(picture.name, `sunspool-${DATE}.png`);
    assert.equal(picture.bytes.subarray(1, 4).toString(), "PNG");
    const [w, h] = [picture.bytes.readUInt32BE(16), picture.bytes.readUInt32BE(20)];
    const chart = await page.evaluate(() => [...document.querySelectorAll("#curve canvas")].map((c) => [c.width, c.height]));
    assert.equal(w, chart[0][0]);
    assert.ok(h > chart.reduce((sum, c) => sum + c[1], 0) + 40, "it has a title and a legend beside the charts");
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("the strings of a day are those of the samples, and absent where the device has none", async () => {
  const asked = [];
  const { page, wrong, close } = await open(demo.base, { hash: `day/${DATE}`, answers: { "/v1/series": (j, url) => {
    if (/mppt/.test(url.search)) asked.push(j);
    return j;
  } } });
  await settled(page);
  assert.equal(asked.length, 0, "they cost the server something, and nobody looked at them");
  await page.locator("#curve .switch button").nth(2).click();
  await until(async () => asked.length === 1);
  await page.waitForFunction(() => /String 1 at most .* String 2 at most/.test(document.querySelector("#curve sun-plot")?.getAttribute("aria-label")));
  const { pv_w: pv } = (await (await fetch(`${demo.api}/v1/series?device_id=demo&from=${DATE}&to=${DATE}&resolution=5m`)).json()).columns;
  const { mppt1_w: one, mppt2_w: two } = asked[0].columns;
  pv.forEach((v, i) => assert.ok(v === null ? one[i] === null : Math.abs(one[i] + two[i] - v) < Math.max(60, v * 0.02), `${i}: ${one[i]} + ${two[i]}, not ${v}`));
  assert.deepEqual(await page.locator("#curve .legend li").allInnerTexts(), ["String 1", "String 2"]);
  await page.locator("#curve button[aria-pressed] .icon").click();
  await page.waitForSelector("#curve thead th");
  assert.deepEqual(await page.locator("#curve thead th").allInnerTexts(), ["Time", "≈\u00a0String 1 (kW)", "≈\u00a0String 2 (kW)"]);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(wrong, []);
  await close();

  const without = await open(demo.base, { hash: `day/${DATE}`, answers: { "/v1/realtime": (j) => ({ ...j, values: { grid_frequency: 50 } }) } });
  await settled(without.page);
  assert.equal(await without.page.locator("#curve .switch button").count(), 2);
  await without.close();
});

test("three hundred devices are a list, by need, of few questions, with today's energy and a sentence in each row", async () => {
  const { page, wrong, close } = await open(demo.base, { width: 360, height: 780, answers: SCENARIOS.fleet() });
  const asked = [];
  page.on("request", (r) => /\/v1\//.test(r.url()) && asked.push(r.url()));
  await page.waitForFunction(() => document.querySelectorAll(".fleet li").length === 300);
  await page.waitForFunction(() => [...document.querySelectorAll(".fleet li")].filter((li) => /\d+\.\d+\s*kWh/.test(li.textContent)).length > 290);
  assert.ok(asked.filter((u) => /devices/.test(u)).length <= 4 && asked.every((u) => !/realtime/.test(u) || /=demo$/.test(u)), asked.join("\n"));
  const rows = await page.locator(".fleet .what").allTextContents();
  assert.ok(rows.every((r) => r.length > 5), "a sentence for each");
  assert.match(rows[0], /edge has not uploaded/);
  assert.match(rows[299], /Everything works/);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.equal(await page.locator("header h1").innerText(), "All inverters");

  const help = page.getByRole("button", { name: /Needs help/ });
  const needy = Number(/\((\d+)\)/.exec(await help.innerText())[1]);
  await help.click();
  await page.waitForFunction((n) => document.querySelectorAll(".fleet li").length === n, needy);
  assert.ok(!(await page.locator(".fleet").innerText()).includes("Everything works"));
  await help.click();
  await page.locator(".search").fill("roof-07");
  await page.waitForFunction(() => document.querySelectorAll(".fleet li").length === 10);
  const { name, bytes } = await saved(page, page.locator(".card .actions button"));
  assert.equal(name, "sunspool-fleet.csv");
  assert.equal(bytes.toString().trim().split("\r\n").length, 11);
  await page.locator(".fleet a").first().click();
  await page.waitForSelector("main.view-now");
  assert.deepEqual(wrong, []);
  await close();
});

test("few devices begin with the first one, and who chose a first view gets it", async () => {
  const few = await open(demo.base, { answers: SCENARIOS.fleet(4) });
  await few.page.waitForSelector("main.view-now");
  await few.close();
  const { page, close } = await open(demo.base, { hash: "settings", answers: SCENARIOS.fleet(9) });
  await page.locator("input[name=start][value=month]").check({ force: true });
  await page.goto(demo.base);
  await page.waitForSelector("main.view-month");
  await close();
});

test("the device shows what the inverter is, its serial number shortened, as far as its edge sends it", async () => {
  const facts = (page) => page.locator("#facts").innerText();
  const known = await open(demo.base, { hash: "device" });
  await settled(known.page);
  await until(async () => /Serial number\s+\S{3}…\S{3}\s+Firmware\s+SIM-\S+_ARM, SIM-\S+_DSP/.test(await facts(known.page)));
  assert.deepEqual(known.wrong, []);
  await known.close();
  const older = await open(demo.base, { hash: "device", answers: { "/v1/devices": (j) => {
    j.devices.forEach((d) => ["serial", "firmware"].forEach((name) => delete d[name]));
    return j;
  } } });
  await settled(older.page);
  assert.doesNotMatch(await facts(older.page), /serial|firmware/i);
  assert.deepEqual(older.wrong, []);
  await older.close();
});

test("the device shows what waits, the clocks, temperatures, phases and strings", async () => {
  const { page, wrong, close } = await open(demo.base, { hash: "device" });
  await settled(page);
  const text = await page.locator("main").innerText();
  for (const want of [/Samples waiting: \d/, /Battery, Temperature\s+-?−?\d/, /(49|50)\.\d\d\s*Hz/, /L3/, /String 2/, /Measured\s+(100|99)\s*%/]) assert.match(text, want);
  assert.doesNotMatch(text, /Clock differs/); // they agree
  assert.deepEqual(wrong, []);
  await close();
});

test("a clock that differs is named at its link: that of this browser, and that of an edge that is ahead", async () => {
  const hop = (page, n) => page.locator("#chain li").nth(n).innerText();
  const slow = await open(demo.base, { hash: "device", before: (p) => p.addInitScript(() => {
    const now = Date.now;
    Date.now = () => now() - 200000;
  }) });
  await settled(slow.page);
  await until(async () => /Clock differs by\s+3\s*min/.test(await hop(slow.page, 3)));
  assert.doesNotMatch(await hop(slow.page, 1), /Clock/);
  assert.deepEqual(slow.wrong, []);
  await slow.close();
  const ahead = await open(demo.base, { hash: "device", answers: SCENARIOS.ahead() });
  await settled(ahead.page);
  await until(async () => /Clock differs by\s+≥\s*\d+\s*s/.test(await hop(ahead.page, 1)));
  assert.doesNotMatch(await hop(ahead.page, 3), /Clock/);
  await ahead.close();
});

test("the clock of an edge that sends its time is named if it is off by more than a slow line explains, behind or ahead", async () => {
  for (const [skew, want] of [[200, /Clock differs by\s+≈\s*3\s*min/], [-40, /Clock differs by\s+≈\s*40\s*s/], [9.5, null]]) {
    const { page, wrong, close } = await open(demo.base, { hash: "device", answers: SCENARIOS.skewed(skew) });
    await settled(page);
    const text = await page.locator("#chain").innerText();
    if (want) assert.match(text, want);
    else assert.doesNotMatch(text, /Clock/);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("a cell of the calendar has its date and its number, and leads to its day", async () => {
  const year = Number(DATE.slice(0, 4));
  const { page, wrong, close } = await open(demo.base, { hash: `year/${year}` });
  await settled(page);
  const cells = page.locator("#heat rect");
  assert.equal(await cells.count(), new Date(year, 1, 29).getMonth() === 1 ? 366 : 365);
  const cell = page.locator(`#heat rect[data-date="${DATE}"]`);
  await cell.hover();
  const { labels, columns } = await (await fetch(`${demo.api}/v1/energy?device_id=demo&resolution=day&from=${DATE}&to=${DATE}`)).json();
  assert.deepEqual(labels, [DATE]);
  const title = await cell.locator("title").textContent();
  assert.match(title, new RegExp(`^${Number(DATE.slice(8))} \\w+ ${DATE.slice(0, 4)}: \\d`));
  assert.ok(Math.abs(Number(/: ([\d.]+)/.exec(title)[1]) - columns.pv_kwh[0]) < 0.06, `${title}, not ${columns.pv_kwh[0]}`);
  // Another kind has other cells, and the first one comes back.
  const colours = () => page.evaluate(() => [...document.querySelectorAll("#heat rect")].map((r) => r.getAttribute("class")).join());
  const solar = await colours();
  await page.locator("#heat .switch button").nth(1).click();
  await until(async () => (await colours()) !== solar);
  await page.locator("#heat .switch button").first().click();
  await until(async () => (await colours()) === solar);
  await cell.click();
  await page.waitForSelector("main.view-day");
  assert.match(page.url(), new RegExp(`#day/${DATE}$`));
  assert.deepEqual(wrong, []);
  await close();
});
