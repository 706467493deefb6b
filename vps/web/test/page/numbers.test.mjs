// Every number of every view against the API: the same to the last digit that is shown, and rows that add up to their totals. The text
// is read as a person reads it, not by the code that wrote it. A real server, and a house whose history does not change meanwhile.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, show, until } from "../harness.mjs";
import { startServer, withPage } from "../server.mjs";
import { houseSamples, slowEdge, shown, isShown, clocksChange } from "../house.mjs";

const ZONE = "Europe/Brussels";
const EVERY = 300;
let browser;
let server;
let page;
const end = Math.floor(Date.now() / 1000 / EVERY) * EVERY;
const dateOf = (s) => new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE }).format(s * 1000);
const daysAgo = (n) => dateOf(Date.parse(`${dateOf(end)}T12:00:00Z`) / 1000 - n * 86400);
/** Of these days the first that has 24 hours. @param {number[]} days ago */
const plain = (...days) => days.find((n) => !clocksChange(ZONE, daysAgo(n)));
// Six hours of a day are missing: what is shown of it is at least that.
const holed = plain(12, 13);
const hole = Date.parse(`${daysAgo(holed)}T08:00:00Z`) / 1000;

before(async () => {
  browser = await startBrowser();
  server = await startServer();
  await server.ingest(houseSamples(end - 75 * 86400, end, EVERY, (t) => t >= hole && t < hole + 6 * 3600), slowEdge(EVERY, ZONE));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});


/** A test with a page of its own. */
const pageTest = (name, f) => test(name, () => withPage(server.base, (opened) => {
  page = opened;
  return f();
}));

/** The cells of a card's table, with its head; what has no button to show it is one already. */
async function table(id) {
  const button = page.locator(`#${id} button[aria-pressed=false][title]`);
  if (await button.count()) await button.first().click();
  await page.waitForSelector(`#${id} tbody tr`);
  return page.evaluate((i) => [...document.querySelectorAll(`#${i} table tr`)].map((r) => [...r.children].map((c) => c.innerText)), id);
}

const COLUMNS = { Solar: "pv_kwh", "Used at home": "load_kwh", Exported: "export_kwh", Imported: "import_kwh", Charged: "charge_kwh", Discharged: "discharge_kwh",
  "Self-sufficiency": "self_sufficiency_pct" };
const COVERAGE = { pv_kwh: "coverage", load_kwh: "load_coverage", export_kwh: "grid_coverage", import_kwh: "grid_coverage", charge_kwh: "battery_coverage", discharge_kwh: "battery_coverage" };

/** A card's table is the rows of an answer. @returns for each column what its rows add up to, and how far that is from exact */
async function sameTable(id, answer) {
  const [head, ...rows] = await table(id);
  assert.equal(rows.length, answer.labels.length, `${id}: rows`);
  const sums = {};
  head.slice(1).forEach((title, i) => {
    const name = COLUMNS[title];
    assert.ok(name, `${id}: column ${title}`);
    const sum = (sums[name] = { v: 0, half: 0 });
    rows.forEach((row, n) => {
      const v = answer.columns[name][n];
      const where = `${id} ${row[0]} ${title}: ${row[i + 1]} is not ${v}`;
      assert.ok(isShown(row[i + 1], v), where);
      const s = shown(row[i + 1]);
      if (!s) return;
      const part = COVERAGE[name] && answer.columns[COVERAGE[name]][n];
      assert.equal(s.sign === "≥", Boolean(COVERAGE[name]) && part < 0.98, `${where}, of which ${part} are measured`);
      sum.v += s.v;
      sum.half += s.half;
    });
  });
  assert.ok(Object.keys(sums).length >= 6, `${id}: ${Object.keys(sums)}`);
  return sums;
}

const KPIS = { Solar: "pv_kwh", "Used at home": "load_kwh", Exported: "export_kwh", Imported: "import_kwh" };

/** The numbers of a card in large. */
async function sameTotals(id, total) {
  const all = await page.evaluate((i) => [...document.querySelectorAll(`#${i} .kpi`)].map((k) => [k.querySelector("dt").innerText, k.querySelector("dd > span").innerText]), id);
  assert.deepEqual(all.map(([name]) => name), Object.keys(KPIS));
  for (const [name, text] of all) {
    assert.ok(isShown(text, total[KPIS[name]]), `${id} ${name}: ${text} is not ${total[KPIS[name]]}`);
    assert.equal(shown(text).sign === "≥", total[COVERAGE[KPIS[name]]] < 0.98, `${id} ${name}: ${text} of ${total.coverage}`);
  }
  const text = await page.locator(`#${id} .legend`).innerText();
  for (const [title, name] of [["Self-sufficiency", "self_sufficiency_pct"], ["Self-consumption", "self_consumption_pct"]]) {
    const found = new RegExp(`${title}\\s+([<\\d ]+\\s*%)`).exec(text);
    assert.ok(found ? isShown(found[1], total[name]) : total[name] === null, `${id}: ${title} of ${text} is not ${total[name]}`);
  }
  // What the home ran on are shares of one whole.
  const parts = ["solar_home_kwh", "battery_home_kwh", "grid_home_kwh"].map((n) => total[n]);
  const whole = parts.reduce((a, b) => a + b, 0);
  ["Solar", "Battery", "Grid"].forEach((name, i) => assert.ok(isShown(new RegExp(`${name}\\s+([<\\d\\s]+%)`).exec(text)[1], (100 * parts[i]) / whole), `${id}: ${name} of ${text} is not ${parts[i]} of ${whole}`));
}

/** Rows add up to what is shown as their total, as well as their digits can. */
function addUp(sums, total, what) {
  for (const [name, { v, half }] of Object.entries(sums)) {
    if (/_pct$/.test(name)) continue;
    assert.ok(Math.abs(v - total[name]) <= half + 0.01, `${what}: the rows of ${name} are ${v} ± ${half}, the whole is ${total[name]}`);
  }
}

for (const n of [holed, plain(5, 6)]) {
  pageTest(`a day${n === holed ? " with a gap" : ""}: totals, hours, and the curve as a table`, async () => {
    const date = daysAgo(n);
    const day = await server.ask("energy", { resolution: "day", from: date, to: date });
    const hours = await server.ask("energy", { resolution: "hour", from: date, to: date });
    const series = await server.ask("series", { resolution: "5m", from: date, to: date });
    await show(page, `day/${date}`);
    await sameTotals("totals", day.totals);
    addUp(await sameTable("hours", hours), day.totals, date);
    assert.match(await page.locator("#totals").innerText(), new RegExp(`Highest solar power ${(day.totals.pv_peak_w / 1000).toFixed(2)}\\skW`));
    // The curve: means of each hour, of what is known.
    const [head, ...rows] = await table("curve");
    const unit = /kW/.test(head[1]) ? 1000 : 1;
    const names = { Solar: "pv_w", "Used at home": "load_w", Battery: "battery_w", Grid: "grid_w", Charge: "soc_pct" };
    const mean = (name, hour) => {
      const list = series.columns[name].slice(hour * 12, hour * 12 + 12).filter((v) => v !== null);
      return list.length ? list.reduce((a, b) => a + b, 0) / list.length : null;
    };
    const wanted = Array.from({ length: 24 }, (_, h) => h).filter((h) => mean("pv_w", h) !== null);
    assert.equal(rows.length, wanted.length);
    rows.forEach((row, i) => head.slice(1).forEach((title, c) => {
      const name = names[title.replace(/^≈\s/, "").replace(/ \(.*/, "")];
      const v = mean(name, wanted[i]);
      assert.ok(isShown(row[c + 1], name === "soc_pct" ? v : v / unit), `${row[0]} ${title}: ${row[c + 1]} is not ${v}`);
    }));
    assert.equal(await page.locator("#gaps li").count(), series.gaps.length);
    assert.equal(series.gaps.length, n === holed ? 1 : 0);
    if (n === holed) {
      const local = (s) => new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" }).format(s * 1000);
      const text = await page.locator("#gaps li").innerText();
      assert.ok(text.includes(local(series.gaps[0].from)) && text.includes(local(series.gaps[0].to)), text);
      assert.match(await page.locator("#totals").innerText(), /measured/);
    }
  });
}

pageTest("a month: totals and days", async () => {
  const month = daysAgo(40).slice(0, 7);
  const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).toISOString().slice(0, 10);
  const days = await server.ask("energy", { resolution: "day", from: `${month}-01`, to: last });
  await show(page, `month/${month}`);
  await sameTotals("totals", days.totals);
  addUp(await sameTable("bars", days), days.totals, month);
});

pageTest("a year: totals, months, and the highest quarter-hours", async () => {
  const year = daysAgo(0).slice(0, 4);
  const months = await server.ask("energy", { resolution: "month", from: `${year}-01-01`, to: `${year}-12-31` });
  await show(page, `year/${year}`);
  await sameTotals("totals", months.totals);
  addUp(await sameTable("bars", months), months.totals, year);
  const peaks = await page.evaluate(() => [...document.querySelectorAll("#peaks li b")].map((b) => b.innerText));
  const wanted = months.columns.import_peak15_w.filter((v) => v !== null);
  assert.equal(peaks.length, wanted.length);
  peaks.forEach((text, i) => assert.ok(isShown(text, wanted[i]), `${text} is not ${wanted[i]}`));
});

pageTest("all: totals, years, and the records", async () => {
  const first = dateOf(Date.parse((await server.get("/v1/devices")).devices[0].first_sample) / 1000);
  const question = { from: first, to: daysAgo(0) };
  const [years, days] = [await server.ask("energy", { resolution: "year", ...question }), await server.ask("energy", { resolution: "day", ...question })];
  await show(page, "all");
  await sameTotals("totals", days.totals);
  addUp(await sameTable("bars", years), days.totals, "all");
  const records = Object.fromEntries(await page.evaluate(() => [...document.querySelectorAll("#records .records > div")].map((d) => [d.querySelector("dt").innerText, d.querySelector("b").innerText])));
  assert.ok(isShown(records["Best day"], Math.max(...days.columns.pv_kwh)), JSON.stringify(records));
  assert.ok(isShown(records["Highest solar power"], Math.max(...days.columns.pv_peak_w)), JSON.stringify(records));
  assert.ok(isShown(records["Highest quarter-hour of import"], Math.max(...days.columns.import_peak15_w)), JSON.stringify(records));
});

pageTest("now: the power flow, today, and the last 14 days", () => until(async () => {
  // What is measured of today becomes less while nothing is sent: if it falls below a limit between both questions, they are asked again.
  await page.reload();
  await show(page, "now");
  const now = await server.ask("realtime", {});
  const flow = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".flow .node")].map((n) => [n.classList[1], n.querySelector(".value").textContent.trim()])));
  const watts = { solar: now.pv_power_w, home: now.load_power_w, grid: Math.abs(now.grid_power_w), battery: Math.abs(now.battery_power_w) };
  for (const [node, w] of Object.entries(watts)) {
    const text = flow[node].replace(/(\d)(k?W)$/, "$1 $2");
    assert.ok(w < 25 ? /^0 W$/.test(text) : isShown(text, w), `${node}: ${text} is not ${w}`);
  }
  const days = await server.ask("energy", { resolution: "day", from: daysAgo(13), to: daysAgo(0) });
  const i = days.labels.length - 1;
  await sameTotals("today", Object.fromEntries(Object.entries(days.columns).map(([name, c]) => [name, c[i]])));
  addUp(await sameTable("weeks", days), days.totals, "14 days");
  return true;
}));

pageTest("the device: counters, strings and phases", async () => {
  const now = await server.ask("realtime", {});
  await show(page, "device");
  const facts = Object.fromEntries(await page.evaluate(() => [...document.querySelectorAll("#counters .facts div")].map((d) => [d.querySelector("dt").innerText, d.querySelector("dd").innerText])));
  for (const [name, field] of [["Solar", "pv_total_kwh"], ["Imported", "import_total_kwh"], ["Exported", "export_total_kwh"], ["Charged", "charge_total_kwh"], ["Discharged", "discharge_total_kwh"]]) {
    assert.ok(isShown(facts[name], now[field]), `${name}: ${facts[name]} is not ${now[field]}`);
  }
  const [, ...phases] = await table("phases");
  ["a", "b", "c"].forEach((p, i) => assert.ok(isShown(phases[i][1], now.values[`phase_${p}_voltage`]), String(phases[i])));
});
