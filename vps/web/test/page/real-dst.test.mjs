// Days on which clocks change, and days with a gap, of a real server in three zones, in browsers that are elsewhere: the hours are those
// of the device, each is there once, they add up, and nothing is drawn across what is missing.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, show, settled, allText, NONSENSE } from "../harness.mjs";
import { startServer, DEVICE, VIEWER } from "../server.mjs";
import { houseSamples, slowEdge, shown, isShown } from "../house.mjs";

const EVERY = 300;
let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

/** The newest days on which clocks of a zone change that are over, and the day after the last of them, as [date, hours, slots of 5 min]. */
function changes(zone) {
  const local = (s) => Object.fromEntries(new Intl.DateTimeFormat("en-GB", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
    .formatToParts(s * 1000).map((p) => [p.type, p.value]));
  const out = [];
  let length = 0;
  // Quarter-hours of each date, newest first.
  const today = Math.floor(Date.now() / 900000) * 900;
  let date = "";
  for (let s = today; s > today - 400 * 86400 && out.length < 3; s -= 900) {
    const p = local(s);
    const d = `${p.year}-${p.month}-${p.day}`;
    if (d !== date) {
      if (length && length !== 96 && s < today - 3 * 86400) out.push([date, Math.ceil(length / 4), length * 3]);
      date = d;
      length = 0;
    }
    length++;
  }
  return out.slice(0, 2);
}

/** The instants around a local date, wide enough for any zone. */
const around = (date) => [Date.parse(date) / 1000 - 86400 - 14 * 3600, Date.parse(date) / 1000 + 2 * 86400 + 14 * 3600];

const hourColumns = [["Solar", "pv_kwh"], ["Used at home", "load_kwh"], ["Exported", "export_kwh"], ["Imported", "import_kwh"]];

for (const [zone, elsewhere] of [["Europe/Brussels", "America/New_York"], ["Australia/Lord_Howe", "Europe/London"], ["Asia/Kolkata", "Australia/Adelaide"]]) {
  test(`days of ${zone}, seen from ${elsewhere}`, async (t) => {
    const server = await startServer();
    t.after(server.stop);
    // Kolkata's clocks do not change: any two days.
    const found = changes(zone);
    const days = found.length ? found : [3, 30].map((n) => [new Date(Date.now() - n * 864e5).toISOString().slice(0, 10), 24, 288]);
    assert.equal(days.length, 2, `${zone}: ${days}`);
    assert.equal(found.length, zone === "Asia/Kolkata" ? 0 : 2);
    const holes = days.map(([date]) => Date.parse(date) / 1000 + 4 * 3600);
    for (const [i, [date]] of [...days.entries()].reverse()) {
      const [from, to] = around(date);
      await server.ingest(houseSamples(from, to, EVERY, (s) => s >= holes[i] && s < holes[i] + 35 * 60), slowEdge(EVERY, zone));
    }
    const { page, wrong, close } = await open(server.base, { zone: elsewhere, hash: `t=${VIEWER}`, refused: true, before: (p) => p.addInitScript(() => localStorage.setItem("sunspool", '{"compare":"none"}')) });
    await page.waitForSelector(".flow");
    for (const [i, [date, hours, slots]] of days.entries()) {
      const get = (path) => server.get(`/v1/${path}&device_id=${DEVICE}&from=${date}&to=${date}`);
      const [day, rows, series] = [await get("energy?resolution=day"), await get("energy?resolution=hour"), await get("series?resolution=5m")];
      assert.equal(rows.tz, zone);
      assert.equal(series.count, slots, `${date}: slots`);
      assert.equal(rows.labels.length, hours, `${date}: hours`);
      await show(page, `day/${date}`);
      // The day and its zone are those of the device.
      assert.match(await page.locator(".period h2").innerText(), new RegExp(`\\b${Number(date.slice(8))} `));
      assert.match(await page.locator(".zone").innerText(), new RegExp(zone));
      // The hours, as the server labels them.
      await page.locator("#hours button[aria-pressed=false]").click();
      await page.waitForSelector("#hours tbody");
      const table = await page.evaluate(() => [...document.querySelectorAll("#hours tr")].map((r) => [...r.children].map((c) => c.innerText)));
      assert.deepEqual(table.slice(1).map((r) => r[0]), rows.labels.map((l) => l.slice(11, 16)));
      assert.equal(table[1][0], "00:00");
      for (const [title, name] of hourColumns) {
        const at = table[0].indexOf(title);
        let sum = 0;
        let half = 0;
        table.slice(1).forEach((r, n) => {
          assert.ok(isShown(r[at], rows.columns[name][n]), `${date} ${r[0]} ${title}: ${r[at]} is not ${rows.columns[name][n]}`);
          const s = shown(r[at]);
          sum += s ? s.v : 0;
          half += s ? s.half : 0;
        });
        assert.ok(Math.abs(sum - day.totals[name]) <= half + 0.01, `${date}: the hours of ${name} are ${sum} ± ${half}, the day ${day.totals[name]}`);
      }
      await page.locator("#hours button[aria-pressed=true]").click();
      await page.waitForSelector("#hours sun-plot");
      await settled(page);
      // The curve goes from midnight to midnight of the device, and has a hole where nothing is known.
      const chart = await page.evaluate(() => {
        const u = document.querySelector("#curve sun-plot").chart;
        return { x: [...u.data[0]], known: u.data[6].map((v) => v !== null), min: u.scales.x.min, max: u.scales.x.max, labels: u.axes[0]._values };
      });
      assert.deepEqual([chart.min, chart.max], [Date.parse(series.from) / 1000, Date.parse(series.to) / 1000]);
      assert.equal(chart.x.length, slots);
      chart.known.forEach((k, n) => assert.equal(k, series.columns.load_w[n] !== null, `${date}: slot ${n}`));
      assert.ok(chart.known.filter((k) => !k).length >= 6, `${date}: the gap`);
      assert.equal(chart.labels[0], "00:00");
      assert.equal(chart.labels.at(-1), "24:00");
      assert.equal(new Set(chart.labels).size, chart.labels.length, `${date}: ${chart.labels}`);
      assert.equal(series.gaps.length, 1);
      const local = (s) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(s * 1000);
      const gap = await page.locator("#gaps li").innerText();
      assert.ok(gap.includes(local(series.gaps[0].from)) && gap.includes(local(series.gaps[0].to)), gap);
      assert.ok(series.gaps[0].from <= holes[i] && series.gaps[0].to >= holes[i] + 30 * 60, `${JSON.stringify(series.gaps)} around ${holes[i]}`);
      assert.equal(/≥/.test(await page.locator("#totals .kpis").innerText()), day.totals.coverage < 0.98);
      assert.doesNotMatch(await allText(page), NONSENSE);
      // One day back and two forth: each once.
      const seen = [];
      for (const [key, n] of [["ArrowLeft", -1], ["ArrowRight", 0], ["ArrowRight", 1]]) {
        await page.keyboard.press(key);
        const want = new Date(Date.parse(date) + n * 864e5).toISOString().slice(0, 10);
        await page.waitForFunction((day) => document.querySelector(".period h2").innerText.includes(` ${day} `), Number(want.slice(8)));
        await settled(page);
        seen.push(await page.locator(".period h2").innerText());
      }
      assert.equal(new Set(seen).size, 3, seen.join());
    }
    // A month that has such a day: every day of it once, with the energy of its own.
    const month = days[0][0].slice(0, 7);
    await show(page, `month/${month}`);
    const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).toISOString().slice(0, 10);
    const whole = await server.get(`/v1/energy?device_id=${DEVICE}&resolution=day&from=${month}-01&to=${last}`);
    await page.locator("#bars button[aria-pressed=false]").click();
    await page.waitForSelector("#bars tbody");
    const cells = await page.evaluate(() => [...document.querySelectorAll("#bars tbody tr")].map((r) => [...r.children].map((c) => c.innerText)));
    assert.equal(cells.length, whole.labels.length);
    cells.forEach((r, n) => {
      assert.equal(Number(/\d+/.exec(r[0])[0]), Number(whole.labels[n].slice(8)));
      assert.ok(isShown(r[1], whole.columns.pv_kwh[n]), `${r[0]}: ${r[1]} is not ${whole.columns.pv_kwh[n]}`);
    });
    assert.deepEqual(wrong, []);
    await close();
  });
}
