import test from "node:test";
import assert from "node:assert/strict";
import { dayColumns, stack, part, ticks, unitOf, column, spanOf } from "../../static/js/charts.js";
import { daySentence, dayTable, energyTable, greatest } from "../../static/js/words.js";
import { setWords } from "../../static/js/i18n.js";
import { readFileSync } from "node:fs";
import { setLocale } from "../../static/js/format.js";
import { flowNodes, unaccounted, flowSentence } from "../../static/js/flow.js";

setWords(JSON.parse(readFileSync(new URL("../../static/i18n/en.json", import.meta.url), "utf8")));
setLocale("en");
const ALL = { battery: true, grid: true, load: true };

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
    if (a) assert.doesNotMatch(daySentence(a, "UTC", "kW") + JSON.stringify(dayTable(a, "UTC", "W", "f", ALL)), /NaN|undefined/);
  }
  assert.doesNotMatch(JSON.stringify(energyTable({}, "short", "f", ALL)) + JSON.stringify(energyTable({ labels: ["2026-01-01"], columns: { pv_kwh: [null] } }, "short", "f", ALL)), /NaN|undefined|null/);
  assert.deepEqual(spanOf({ start: 5, to: "rubbish", count: 2, resolution_s: 10 }), [5, 25]);
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
