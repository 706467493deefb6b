import test from "node:test";
import assert from "node:assert/strict";
import { dayColumns, stack, part, ticks, unitOf, column, spanOf } from "../../static/js/charts.js";
import { daySentence, socSentence, dayTable, energyTable, greatest } from "../../static/js/words.js";
import { bestSentence } from "../../static/js/calendar.js";
import { csv } from "../../static/js/table.js";
import { within } from "../../static/js/zoom.js";
import { heatTable } from "../../static/js/heat.js";
import { setWords } from "../../static/js/i18n.js";
import { readFileSync } from "node:fs";
import { setLocale } from "../../static/js/format.js";
import { flowNodes, flowTable, unaccounted, flowSentence } from "../../static/js/flow.js";

setWords(JSON.parse(readFileSync(new URL("../../static/i18n/en.json", import.meta.url), "utf8")));
setLocale("en");
const ALL = { battery: true, grid: true, load: true };

/** A table as it is on the screen, and as a file. */
const read = (table) => table.rows.map((r, i) => [r.label, ...table.fields.flatMap((f, n) => (f.text ? [f.text(r.v[n], i)] : []))].join("|").replaceAll("\u00a0", " "));
const file = (table, lang = "en") => csv(table, "Europe/Brussels", lang).replace("\ufeff", "").trim().split("\r\n");

test("gaps stay gaps in sums", () => {
  assert.deepEqual(stack([1, null, 3], [1, 1, null]), [2, null, 3]);
  assert.deepEqual(part([-5, 0, 5, null], -1), [5, 0, 0, null]);
  assert.deepEqual(column([1, "x", NaN, undefined, null], 6), [1, null, null, null, null, null]);
  assert.deepEqual(column(undefined, 2), [null, null]);
});

test("a day is conserved: what the home used is what came from sun, battery and grid", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let n = 0; n < 200; n++) {
    const [sh, bh, gh] = [random() * 3000, random() * 2000, random() * 2000];
    const a = { start: 0, count: 1, resolution_s: 300, columns: { pv_w: [sh + 500], load_w: [sh + bh + gh], solar_home_w: [sh], battery_home_w: [bh], grid_home_w: [gh], battery_w: [random() * 4000 - 2000], grid_w: [random() * 4000 - 2000] } };
    const d = dayColumns(a);
    assert.ok(Math.abs(stack(d.solarHome, d.batteryHome, d.gridHome)[0] - d.load[0]) < 1e-9);
    assert.ok(d.charge[0] >= 0 && d.exported[0] >= 0);
  }
});

test("whatever is absent, a day has columns of its length, and no nonsense in words", () => {
  for (const a of [null, {}, { start: 0, count: 2 }, { start: 0, count: 2, columns: { pv_w: [null, null] } }, { start: 0, count: 2, columns: { pv_w: [1] }, gaps: [null] }, { start: 0, t: [0, 5], columns: {} }]) {
    const d = dayColumns(a);
    assert.equal(d.pv.length, d.n);
    if (a) assert.doesNotMatch(daySentence(a, "UTC", "kW") + read(dayTable(a, "UTC", "W", "f", ALL)) + file(dayTable(a, "UTC", "W", "f", ALL, 0, [1, 2])) + socSentence(a, "UTC"), /NaN|undefined|null/);
  }
  for (const a of [{}, { labels: ["2026-01-01"], columns: { pv_kwh: [null] } }]) {
    const table = energyTable(a, "short", "f", ALL);
    assert.doesNotMatch(read(table) + file(table) + bestSentence("f", a.labels || [], [null], String), /NaN|undefined|null/);
  }
  assert.deepEqual(spanOf({ start: 5, to: "rubbish", count: 2, resolution_s: 10 }), [5, 25]);
});

const DAY = { start: Date.UTC(2026, 9, 25, 0, 0) / 1000, count: 24, resolution_s: 300, tz: { name: "Europe/Brussels" }, quality: { mppt1_w: "derived" },
  columns: { pv_w: Array(24).fill(1000.5), load_w: [null, ...Array(23).fill(400)], battery_w: Array(24).fill(-250), grid_w: Array(24).fill(null), soc_pct: Array(24).fill(61.5), mppt1_w: Array(24).fill(600), mppt2_w: Array(24).fill(400.5) } };

test("a file has units in its header, never in a cell, a decimal point, and both times, also of an hour that comes twice", () => {
  const lines = file(dayTable(DAY, "Europe/Brussels", "kW", "f", ALL, 0));
  assert.equal(lines[0], '"Time (Europe/Brussels)","UTC","Solar (W)","Used at home (W)","Battery (W)","Grid (W)","Charge (%)"');
  assert.equal(lines[1], '"2026-10-25 02:00",2026-10-25T00:00:00Z,1000.5,,-250,,61.5');
  assert.equal(lines[13], '"2026-10-25 02:00",2026-10-25T01:00:00Z,1000.5,400,-250,,61.5');
  assert.equal(lines.length, 25);
  for (const lang of ["de", "nl", "fr"]) assert.equal(file(dayTable(DAY, "Europe/Brussels", "kW", "f", ALL, 0), lang)[1], '"2026-10-25 02:00";2026-10-25T00:00:00Z;1000.5;;-250;;61.5');
  const days = { tz: "Europe/Brussels", labels: ["2026-06-20", "2026-06-21"], from: [1781906400, 1781992800], columns: { pv_kwh: [1234.567, 3.2], coverage: [0.9512, 1], load_kwh: [null, 2], self_sufficiency_pct: [null, 71.2] } };
  assert.deepEqual(file(energyTable(days, "short", "f", { load: true })), ['"Time (Europe/Brussels)","UTC","Solar (kWh)","Used at home (kWh)","Self-sufficiency (%)","Measured (%)"',
    '"2026-06-20",2026-06-19T22:00:00Z,1234.567,,,95.1', '"2026-06-21",2026-06-20T22:00:00Z,3.2,2,71.2,100']);
});

test("a table reads as its chart: hours of powers, strings, energies with their signs, the kind that the calendar shows", () => {
  assert.deepEqual(read(dayTable(DAY, "Europe/Brussels", "kW", "f", ALL)), ["02:00|1.00|0.40|−0.25|–|62 %", "02:00|1.00|0.40|−0.25|–|62 %"]);
  const strings = dayTable(DAY, "Europe/Brussels", "kW", "f", ALL, 3600, [1, 2]);
  assert.deepEqual(strings.fields.map((f) => f.head), ["≈\u00a0String 1 (kW)", "String 2 (kW)"]);
  assert.deepEqual(read(strings), ["02:00|0.60|0.40", "02:00|0.60|0.40"]);
  assert.match(daySentence(DAY, "Europe/Brussels", "kW", undefined, [1, 2]), /String 1 at most 0.60.kW at 02:02, String 2 at most 0.40.kW at 02:02\./);
  const days = { tz: "UTC", labels: ["2026-06-20", "2026-06-21"], from: [1, 2], columns: { pv_kwh: [12, 3.2], coverage: [0.95, 1] } };
  assert.deepEqual(read(heatTable(days, "2026", ALL)), ["20 Jun 2026|≥ 12.0 kWh", "21 Jun 2026|3.20 kWh"]);
  assert.equal(bestSentence("Solar", days.labels, days.columns.pv_kwh, String), "Solar: best 20 Jun with 12, least 21 Jun with 3.2.");
  assert.deepEqual(read(flowTable({ t: 0, flows: { solar_home: 730, solar_grid: 2000.4, grid_battery: null } }, "kW")), ["Solar → Home|0.73 kW", "Solar → Grid|2.00 kW"]);
  assert.deepEqual(file(flowTable({ t: 0, flows: { solar_home: 730 } }, "kW")), ['"Where energy goes","Power (W)"', '"Solar → Home",730']);
});

test("the greatest is found, and none among none", () => {
  assert.equal(greatest([null, 1, 3, 3]), 2);
  assert.equal(greatest([-3, -1]), 1);
  assert.equal(greatest([]), -1);
  assert.equal(greatest([null]), -1);
});

test("the last bar has a label, and labels do not touch", () => {
  assert.deepEqual(ticks(14, 5), [1, 4, 7, 10, 13]);
  assert.deepEqual(ticks(3, 9), [0, 1, 2]);
  assert.deepEqual(ticks(0, 5), []);
  assert.equal(unitOf([[999, null], [1000]]), "kW");
  assert.equal(unitOf([[null]]), "W");
});

test("the flow says in words what it shows", () => {
  const s = { t: 0, pv_w: 4210, load_w: 730, battery_w: 1480, grid_w: -2000, soc_pct: 62.4, flows: { unaccounted: 0 } };
  assert.equal(flowSentence(s, ALL, "kW").replaceAll("\u00a0", " "), "Solar 4.21 kW; Grid 2.00 kW exporting; Home 0.73 kW; Battery 1.48 kW charging, 62 %.");
  assert.doesNotMatch(flowSentence({ ...s, pv_w: null, soc_pct: null, grid_w: null }, ALL, "W"), /NaN|null|undefined/);
  assert.equal(flowNodes(null, { battery: false, grid: false, load: false }, "W").length, 1);
  assert.equal(unaccounted({ ...s, flows: { unaccounted: 40 } }), null);
  assert.equal(unaccounted({ ...s, flows: { unaccounted: 300 } }), 300);
  assert.equal(unaccounted({ ...s, load_w: null, flows: { unaccounted: 300 } }), null);
});

test("an axis has a beginning and an end, whatever an answer lacks", () => {
  const whole = { from: "2026-06-21T00:00:00+02:00", to: "2026-06-22T00:00:00+02:00", start: 1781992800, count: 288, resolution_s: 300 };
  for (const without of [[], ["start"], ["to"], ["from", "start"]]) {
    const a = { ...whole, ...Object.fromEntries(without.map((name) => [name, null])) };
    assert.deepEqual(spanOf(a), [1781992800, 1782079200], String(without));
  }
  const [from, to] = spanOf({ columns: {}, start: null, from: null, to: null });
  assert.ok(to > from);
  assert.equal(dayColumns({ columns: { pv_w: [1, 2] }, start: null, count: 2 }).n, 0);
});

test("the zoom of a day stays in it, is at least half an hour, and has something that was", () => {
  const d = { from: 0, to: 86400, now: 50000 };
  assert.deepEqual(within(3600, 7200, d), [3600, 7200]);
  assert.deepEqual(within(3600, 3700, d), [2750, 4550]);
  assert.deepEqual(within(-500, 3100, d), [0, 3600]);
  assert.deepEqual(within(-500, 90000, d), [0, 86400]);
  assert.deepEqual(within(80000, 86000, d), [49100, 55100]);
  assert.deepEqual(within(80000, 90000, { ...d, now: 1e9 }), [76400, 86400]);
  assert.deepEqual(within(40000, 50000, { ...d, now: 60 }), [0, 10000]);
});

test("an answer has two ends, of whatever kind its fields are", () => {
  for (const wrong of ["text", [], {}, true, null, [[]], -1e15, 0]) {
    const [start, end] = spanOf({ start: 1796079600, to: wrong, count: wrong, resolution_s: wrong });
    assert.deepEqual([start, end], [1796079600, 1796079600 + 86400], JSON.stringify(wrong));
  }
});
