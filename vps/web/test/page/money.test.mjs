// Money, of a real server with a TARIFF_FILE: what each view shows is what the API has, to the last digit; what the API has is computed
// here once more from hours and prices; and without prices there is no word about money.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBrowser, open, show, until, allText, NONSENSE } from "../harness.mjs";
import { startServer, withPage, sampleAt, VIEWER } from "../server.mjs";
import { houseSamples, slowEdge } from "../house.mjs";

const ZONE = "Europe/Brussels";
const EVERY = 300;
const dir = mkdtempSync(join(tmpdir(), "sunspool-money-"));
const file = join(dir, "tariff.json");
const end = Math.floor(Date.now() / 1000 / EVERY) * EVERY;
const dateOf = (s) => new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE }).format(s * 1000);
const daysAgo = (n) => dateOf(end - n * 86400);
// A month that is over and was measured whole, but for six hours; prices change in its middle.
const month = daysAgo(40).slice(0, 7);
const change = `${month}-15`;
const holed = `${month}-20`;
const hole = Date.parse(`${holed}T08:00:00Z`) / 1000;

const OLD = { from: "2020-01-01", import: 0.31, export: 0.25, co2_g_per_kwh: 150, capacity_per_kw_year: 48, fee_per_month: 6 };
const NEW = { from: change, import: 0.27, export: 0.04, co2_g_per_kwh: 140, capacity_per_kw_year: 50, fee_per_year: 60,
  windows: [{ days: "mon-fri", hours: "07:00-22:00", import: 0.36 }, { hours: "11:00-15:00", export: -0.08 }] };
const setPrices = (prices) => writeFileSync(file, JSON.stringify({ currency: "EUR", capacity: "be", prices }), { mode: 0o644 });

let browser;
let server;
let page;
before(async () => {
  setPrices([OLD, NEW]);
  browser = await startBrowser();
  server = await startServer({ env: { TARIFF_FILE: file } });
  await server.ingest(houseSamples(end - 75 * 86400, end, EVERY, (t) => t >= hole && t < hole + 6 * 3600), slowEdge(EVERY, ZONE));
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(dir, { recursive: true });
});

const rowOf = (a, i) => Object.fromEntries(Object.entries(a.columns).map(([name, c]) => [name, c[i]]));

/** A test with a page of its own. */
const pageTest = (name, f) => test(name, () => withPage(server.base, (opened) => {
  page = opened;
  return f();
}));

/** Reports whether a text such as "≥ −€1,234.56" is v, to its last digit. */
function isAmount(text, v, slack = 0) {
  const found = /^(?:[≥≈]\s)?(−?)(€?)([\d,]+(?:\.(\d+))?)(\skg)?$/.exec(text.trim());
  if (!found || typeof v !== "number" || Boolean(found[2]) === Boolean(found[5])) return false;
  const shown = Number(found[3].replace(/,/g, "")) * (found[1] ? -1 : 1);
  return Math.abs(shown - v) <= 0.5 / 10 ** (found[4] || "").length + slack + 1e-9 && !(found[1] && shown === 0);
}

/** The line of money of a card is that of a row of the API. slack: how much it may have changed since. */
async function sameMoney(id, row, slack = 0) {
  const shown = Object.fromEntries(await page.evaluate((i) => [...document.querySelectorAll(`#${i} .note.spread span`)].map((s) => [s.innerText.slice(0, -s.querySelector("b").innerText.length).trim(), s.querySelector("b").innerText]), id));
  const earned = row.cost < 0;
  const want = { Saved: row.saved, [earned ? "Earned" : "Cost"]: earned ? -row.cost : row.cost, "Fixed fee": row.fee, "CO₂ avoided": row.co2_avoided_kg };
  assert.deepEqual(Object.keys(shown), Object.keys(want), id);
  for (const [name, v] of Object.entries(want)) assert.ok(isAmount(shown[name], v, slack), `${id} ${name}: ${shown[name]} is not ${v}`);
  for (const name of ["Saved", "CO₂ avoided"]) assert.equal(shown[name].startsWith("≥"), row.load_coverage < 0.98, `${id} ${name}: ${shown[name]} of ${row.load_coverage}`);
  assert.equal(shown["Fixed fee"].search(/[≥≈]/), -1);
}

/** The columns of money in a card's table are those of an answer, and add up to its totals. */
async function sameColumns(id, a) {
  const button = page.locator(`#${id} button[aria-pressed=false][title]`);
  if (await button.count()) await button.first().click();
  await page.waitForSelector(`#${id} tbody tr`);
  const [head, ...rows] = await page.evaluate((i) => [...document.querySelectorAll(`#${i} table tr`)].map((r) => [...r.children].map((c) => c.innerText)), id);
  for (const [title, name] of [["Cost (EUR)", "cost"], ["Saved (EUR)", "saved"], ["CO₂ avoided (kg)", "co2_avoided_kg"]]) {
    const at = head.indexOf(title);
    assert.ok(at > 0, `${id}: no ${title} in ${head}`);
    assert.equal(rows.length, a.labels.length);
    let sum = 0;
    rows.forEach((row, i) => {
      const v = a.columns[name][i];
      const text = row[at].replace(/^[≥≈]\s/, "").replace("−", "-").replace(/,/g, "");
      if (v === null) return assert.equal(row[at], "–", `${id} ${row[0]} ${title}`);
      assert.ok(Math.abs(Number(text) - v) <= 0.005 + 1e-9, `${id} ${row[0]} ${title}: ${row[at]} is not ${v}`);
      sum += Number(text);
    });
    assert.ok(Math.abs(sum - a.totals[name]) <= 0.005 * rows.length + 0.01, `${id} ${title}: rows are ${sum}, the whole is ${a.totals[name]}`);
  }
}

/** What a day cost, by its hours and the prices above. */
async function costByHand(date) {
  const hours = await server.ask("energy", { resolution: "hour", from: date, to: date });
  const weekday = ![0, 6].includes(new Date(`${date}T12:00:00Z`).getUTCDay());
  return hours.labels.reduce((sum, label, i) => {
    const hour = Number(label.slice(11, 13));
    const [buy, sell] = date < change ? [0.31, 0.25] : [weekday && hour >= 7 && hour < 22 ? 0.36 : 0.27, hour >= 11 && hour < 15 ? -0.08 : 0.04];
    return sum + hours.columns.import_kwh[i] * buy - hours.columns.export_kwh[i] * sell;
  }, 0);
}

for (const [name, date] of [["before the change of prices", `${month}-14`], ["of the change, at prices by the hour, some below 0", change], ["with a gap", holed]]) {
  pageTest(`a day ${name}`, async () => {
    const day = await server.ask("energy", { resolution: "day", from: date, to: date });
    await show(page, `day/${date}`);
    await sameMoney("totals", day.totals);
    await sameColumns("hours", await server.ask("energy", { resolution: "hour", from: date, to: date }));
    if (date !== holed) assert.ok(Math.abs(await costByHand(date) - day.totals.cost) < 0.02, `${await costByHand(date)} by hand, ${day.totals.cost} by the API`);
    assert.equal(day.totals.load_coverage < 0.98, date === holed);
  });
}

pageTest("days on which was earned, and days on which was paid", async () => {
  const days = await server.ask("energy", { resolution: "day", from: `${month}-01`, to: `${month}-28` });
  for (const earned of [true, false]) {
    const i = days.columns.cost.findIndex((v) => v < 0 === earned);
    assert.ok(i >= 0, `no such day: ${days.columns.cost}`);
    await show(page, `day/${days.labels[i]}`);
    await page.waitForFunction((word) => document.querySelector("#totals .spread").innerText.includes(word), earned ? "Earned" : "Cost");
    await sameMoney("totals", rowOf(days, i));
  }
});

pageTest("a month in which prices change, its year, and all years: days and months add up", async () => {
  const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).toISOString().slice(0, 10);
  const days = await server.ask("energy", { resolution: "day", from: `${month}-01`, to: last });
  await show(page, `month/${month}`);
  await sameMoney("totals", days.totals);
  await sameColumns("bars", days);
  const days1 = Number(last.slice(8));
  const feeByHand = (14 * 6) / days1 + ((days1 - 14) * 60) / (Number(month.slice(0, 4)) % 4 ? 365 : 366);
  assert.ok(Math.abs(days.totals.fee - feeByHand) < 0.02, `${feeByHand} by hand, ${days.totals.fee} by the API`);
  const year = month.slice(0, 4);
  const months = await server.ask("energy", { resolution: "month", from: `${year}-01-01`, to: `${year}-12-31` });
  await show(page, `year/${year}`);
  await sameMoney("totals", months.totals, 0.01);
  await sameColumns("bars", months);
  const first = dateOf(Date.parse((await server.get("/v1/devices")).devices[0].first_sample) / 1000);
  await show(page, "all");
  await sameMoney("totals", (await server.ask("energy", { resolution: "day", from: first, to: daysAgo(0) })).totals, 0.01);
});

pageTest("the simple page has the same money, and its tables fit in every language", async () => {
  const today = await server.ask("energy", { resolution: "day", from: daysAgo(0), to: daysAgo(0) });
  for (const lang of ["en", "de", "nl", "fr"]) {
    for (const width of [320, 768, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(`${server.base}/lite?lang=${lang}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${lang} ${width}`);
    }
    const [cost, saved] = await page.locator("table").nth(1).locator("tr").nth(1).locator("td").allInnerTexts();
    for (const [text, name] of [[cost, "cost"], [saved, "saved"]]) {
      const v = Number(text.replace(/^[≥≈]\s/, "").replace("−", "-").replace(",", "."));
      assert.ok(Math.abs(v - today.columns[name].at(-1)) <= 0.0051, `${lang} ${name}: ${text} is not ${today.columns[name]}`);
    }
  }
});

/** The mean of the months' peaks and its cost in a card are those of an answer. */
async function sameCapacity(id, c) {
  const text = await page.locator(`#${id} .spread`).innerText();
  const [, n, mean, monthly, yearly] = /Mean peak \((\d+) of 12 months\) ([\d.]+)\s?kW\s+Cost (\S+) a month, (\S+) a year/.exec(text.replace(/\u00a0/g, " ").replace(/\s+/g, " ")) || [];
  assert.equal(Number(n), c.months.filter((m) => m.counted_w !== null).length, text);
  assert.ok(Math.abs(Number(mean) * 1000 - c.mean_w) <= 50, `${text}: ${c.mean_w}`);
  assert.ok(isAmount(monthly, c.cost.month) && isAmount(yearly, c.cost.year), `${text}: ${JSON.stringify(c.cost)}`);
  assert.ok(Math.abs(c.cost.year / 50 - c.mean_w / 1000) < 0.01, "what a kW costs, by hand");
}

pageTest("the capacity tariff: what the peaks cost, and what this quarter-hour adds if import stays as it is", async () => {
  let c;
  page.on("response", async (r) => {
    if (/\/v1\/capacity\?/.test(r.url()) && r.ok()) c = await r.json().catch(() => c);
  });
  await show(page, "now");
  await page.waitForSelector("#peak .spread");
  await sameMoney("today", await server.ask("energy", { resolution: "day", from: daysAgo(0), to: daysAgo(0) }).then((a) => rowOf(a, a.labels.length - 1)), 0.01);
  // The page may have drawn an answer before the test has read it.
  const same = (id) => until(async () => {
    await sameCapacity(id, c);
    return true;
  });
  await same("peak");
  // The whole house is switched on.
  await until(async () => {
    await server.ingest([sampleAt(Date.now() / 1000, { pv_w: 0, battery_w: 0, load_w: 30000, grid_w: 30000 })]);
    return page.locator("#peak .note b").filter({ hasText: "more a year" }).count();
  });
  await until(async () => {
    const now = c;
    const text = await page.locator("#peak").innerText();
    const found = /this quarter costs (\S+) more a year/.exec(text);
    return found && now === c && isAmount(found[1], c.cost.forecast_year - c.cost.year);
  });
  await show(page, `year/${daysAgo(0).slice(0, 4)}`);
  await page.waitForSelector("#peaks .spread");
  await same("peaks");
});

pageTest("the help explains money, where there are prices", async () => {
  await page.keyboard.press("?");
  await page.waitForSelector(".help h3");
  const text = await page.locator(".help").innerText();
  assert.match(text, /Cost is what came from the grid times its price/);
  assert.match(text, /at least 2\.5 kW/);
});

pageTest("prices that are changed: an export that costs more than the sun saves", async () => {
  setPrices([{ from: "2020-01-01", import: 0.02, export: -0.5 }]);
  await server.reload();
  await until(async () => (await server.get("/v1/devices")).devices[0].tariff.import === 0.02);
  await page.reload();
  const days = await server.ask("energy", { resolution: "day", from: `${month}-01`, to: `${month}-28` });
  const i = days.columns.saved.findIndex((v) => v < -0.01);
  assert.ok(i >= 0, String(days.columns.saved));
  await show(page, `day/${days.labels[i]}`);
  await page.waitForSelector("#totals .spread");
  const shown = await page.locator("#totals .spread").innerText();
  const [saved, cost] = ["Saved", "Cost"].map((word) => new RegExp(`${word} (\\S+)`).exec(shown.replace(/[≥≈]\s/g, ""))[1]);
  assert.ok(isAmount(saved, days.columns.saved[i]) && saved.startsWith("−") && isAmount(cost, days.columns.cost[i]), `${shown}: ${days.columns.saved[i]}, ${days.columns.cost[i]}`);
  assert.doesNotMatch(await allText(page), /fee|CO₂/, "of neither there is a price");
});

test("without prices there is no money anywhere", async (t) => {
  const plain = await startServer();
  t.after(plain.stop);
  await plain.ingest(houseSamples(end - 3 * 86400, end, EVERY), slowEdge(EVERY, ZONE));
  const { page: p, wrong, close } = await open(plain.base, { hash: `t=${VIEWER}`, refused: true });
  await p.waitForSelector(".flow");
  const MONEY = /€|\bEUR\b|\bcosts?\b|\bsaved\b|\bearned\b|\bfee\b|CO₂|\bprices?\b|\bmoney\b/i;
  for (const view of ["now", "day", `day/${daysAgo(1)}`, "month", "year", "all", "device", "settings"]) {
    await show(p, view);
    await p.locator("main .card button[aria-pressed=false][title]").evaluateAll((all) => all.forEach((b) => b.click()));
    const text = await allText(p);
    assert.doesNotMatch(text, MONEY, view);
    assert.doesNotMatch(text, NONSENSE, view);
  }
  await p.keyboard.press("?");
  await p.waitForSelector(".help h3");
  assert.doesNotMatch(await p.locator(".help").innerText(), MONEY);
  assert.doesNotMatch(await p.evaluate(async () => (await fetch("lite", { headers: { Accept: "text/plain" } })).text()), MONEY);
  assert.deepEqual(wrong, []);
  await close();
});
