import test from "node:test";
import assert from "node:assert/strict";
import * as s from "../../static/js/store.js";
import { byNeed } from "../../static/js/fleet.js";
import { firstDay, lastDay, weekday } from "../../static/js/calendar.js";
import * as d from "../../static/js/dates.js";
import { backOff } from "../../static/js/live.js";
import { kioskOptions, inNight } from "../../static/js/kiosk.js";
import { stringRows } from "../../static/js/device.js";
import { longestRun, runningSum } from "../../static/js/all.js";
import { heatStep } from "../../static/js/heat.js";
import { batteryHours, certainty, todayRow } from "../../static/js/now.js";

test("the state is the age in poll intervals, and only the server puts a unit to sleep", () => {
  for (const [age, p, told, want] of [[0, 5, "", "live"], [15, 5, "", "live"], [16, 5, "", "delayed"], [60, 5, "", "delayed"], [61, 5, "", "stale"], [900, 5, "", "stale"], [901, 5, "", "offline"],
    [900, 300, "", "live"], [5000, 5, "asleep", "asleep"], [5, 5, "asleep", "live"], [16, null, "", "delayed"], [16, 0, "", "delayed"], [null, 5, "live", "never"]]) {
    assert.equal(s.stateByAge(age, p, told), want, `${age} ${p} ${told}`);
  }
});

test("samples are in order, each once, of ten minutes", () => {
  const at = (t) => ({ t, pv_w: t });
  assert.deepEqual(s.mergeSamples([at(100), at(105)], [at(95), at(105), at(110)]).map((x) => x.t), [95, 100, 105, 110]);
  assert.deepEqual(s.mergeSamples([at(100)], [at(700)]).map((x) => x.t), [700]);
  assert.deepEqual(s.mergeSamples([], [null, { t: null }, {}]).length, 0);
});

test("an answer becomes a sample, or nothing", () => {
  assert.equal(s.sampleOf(null), null);
  assert.equal(s.sampleOf({ ts: "rubbish" }), null);
  assert.deepEqual(s.sampleOf({ ts: "1970-01-01T00:00:05Z", pv_power_w: "3", load_power_w: null }), { t: 5, pv_w: null, load_w: null, battery_w: null, grid_w: null, soc_pct: null, flows: null });
});

test("an address names a view, a real date and a device, or the first view", () => {
  for (const [hash, want] of [["", ["now", "", ""]], ["#day/2026-11-23", ["day", "2026-11-23", ""]], ["#day/2026-02-30", ["day", "", ""]], ["#month/2026-11", ["month", "2026-11", ""]], ["#month/2026-11-23", ["month", "", ""]],
    ["#year/2026?d=roof.1", ["year", "2026", "roof.1"]], ["#<script>", ["now", "", ""]], ["#device?d=a%7Eb", ["device", "", "a~b"]], ["#constructor", ["now", "", ""]]]) {
    const r = s.parseRoute(hash, "now");
    assert.deepEqual([r.view, r.date, r.device], want, hash);
  }
});

test("devices are in order of who needs help first", () => {
  const list = ["live", "offline", "asleep", "never", "stale", "something new", "delayed"].map((state) => ({ id: state, state, age_s: 1 }));
  assert.deepEqual(byNeed(list).map((x) => x.state), ["offline", "something new", "never", "stale", "delayed", "asleep", "live"]);
  assert.equal(s.brokenHop({ chain: [{ hop: "inverter", state: "unknown" }, { hop: "edge", state: "down" }] }).hop, "edge");
  assert.equal(s.brokenHop({}), null);
  assert.equal(s.brokenHop(null), null);
});

test("every day of three years is visited once, forward and back", () => {
  let date = "2024-01-01";
  const seen = new Set();
  while (date < "2027-01-01") {
    assert.ok(d.isDate(date) && !seen.has(date));
    seen.add(date);
    assert.equal(d.addDays(d.addDays(date, 1), -1), date);
    date = d.addPeriod(date, 1);
  }
  assert.equal(seen.size, 1096);
  assert.equal(d.addPeriod("2026-12", 1), "2027-01");
  assert.equal(d.addPeriod("2026-01", -1), "2025-12");
  assert.equal(d.addPeriod("2026", -1), "2025");
  assert.deepEqual([lastDay("2024-02"), lastDay("2026"), firstDay("2026-02")], ["2024-02-29", "2026-12-31", "2026-02-01"]);
  assert.equal(weekday("2026-11-23"), 0);
});

test("a date is the same in browsers whose locales order it in another way", (t) => {
  t.mock.getter(Intl.DateTimeFormat.prototype, "format", () => () => "11/30/2026"); // en-CA in WebKitGTK with ICU 72
  assert.equal(d.localDate(Date.UTC(2026, 10, 30, 12) / 1000, "Europe/Brussels"), "2026-11-30");
});

test("days of 23, 24 and 25 hours have their hours, and end at 24", () => {
  const hours = (start, n, offsets) => d.hourTicks(start, start + n * 3600, offsets, 3).map(([, h]) => h);
  const day = [0, 3, 6, 9, 12, 15, 18, 21, 24];
  const t = Date.UTC(2026, 9, 24, 22) / 1000;
  assert.deepEqual(hours(t, 25, [[t, 7200], [t + 3 * 3600, 3600]]), day);
  const u = Date.UTC(2026, 2, 28, 23) / 1000;
  assert.deepEqual(hours(u, 23, [[u, 3600], [u + 2 * 3600, 7200]]), day);
  const k = Date.UTC(2026, 0, 1) / 1000 - 19800;
  assert.deepEqual(hours(k, 24, [[k, 19800]]), day);
  assert.equal(d.localDate(Date.UTC(2026, 0, 1, 4) / 1000, "America/New_York"), "2025-12-31");
  assert.equal(d.offsetAt([[10, 0], [20, 3600]], 15), 0);
  assert.equal(d.offsetAt(undefined, 15), 0);
});

test("retries become rarer, up to 30 s", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 20].map(backOff), [1, 2, 4, 8, 16, 30, 30]);
});

test("a display on the wall knows its views and its night", () => {
  const o = kioskOptions(new URLSearchParams("kiosk=1&views=now,rubbish,day&every=1&night=22-6"));
  assert.deepEqual(o, { views: ["now", "day"], every: 5, night: [22, 6] });
  assert.deepEqual(kioskOptions(new URLSearchParams("views=x")), { views: ["now"], every: 30, night: null });
  assert.deepEqual([21, 22, 0, 5, 6].map((h) => inNight(h, [22, 6])), [false, true, true, true, false]);
  assert.deepEqual([0, 1, 5].map((h) => inNight(h, [1, 5])), [false, true, false]);
});

test("records, sums, steps and strings do not invent anything", () => {
  assert.deepEqual(longestRun(["a", "b", "c", "d", "e"], [96, null, 95, 99, 10], 95), { days: 2, from: "c", to: "d" });
  assert.equal(longestRun(["a"], [null], 95), null);
  assert.deepEqual(runningSum([1, null, 2]), [1, 1, 3]);
  assert.deepEqual(runningSum([null, 2, null]), [null, 2, 2]);
  assert.deepEqual([0, 0.1, 20, 60, 100].map((v) => heatStep(v, 100)), [0, 1, 1, 3, 5]);
  assert.equal(heatStep(5, 0), 0);
  assert.deepEqual(stringRows({ mppt1_voltage: 300, mppt1_current: 2, mppt2_voltage: null }), [{ n: 1, v: 300, a: 2, w: 600 }]);
  assert.equal(batteryHours(50, 2000, 10), 2.5);
  assert.equal(batteryHours(50, -1000, 10), 5);
  assert.equal(batteryHours(50, 20, 10), null);
  assert.equal(batteryHours(50, 2000, 0), null);
});

test("what was not measured whole is at least that", () => {
  assert.match(certainty({ pv_kwh: 5, coverage: 0.97 }, "pv_kwh").prefix, /≥/);
  assert.equal(certainty({ pv_kwh: 5, coverage: 0.985 }, "pv_kwh").prefix, "");
  assert.match(certainty({ pv_kwh: 5, coverage: 1, spread_pv_kwh: 1 }, "pv_kwh").prefix, /≈/);
  assert.deepEqual(todayRow({ labels: ["2026-01-01"], columns: { pv_kwh: [3] } }, "2026-01-01"), { pv_kwh: 3 });
  assert.deepEqual(todayRow(null, "2026-01-01"), {});
});

test("the focus moves to what is drawn, however late that is", () => {
  const frames = [];
  let drawn = null;
  const focused = [];
  globalThis.requestAnimationFrame = (f) => frames.push(f);
  globalThis.document.querySelector = (selector) => drawn && { focus: () => focused.push(selector) };
  s.onChange(() => (drawn = true));
  s.focusOn("#there");
  assert.deepEqual(focused, []);
  while (frames.length) frames.shift()();
  assert.deepEqual(focused, ["#there"]);
  s.changed();
  while (frames.length) frames.shift()();
  assert.deepEqual(focused, ["#there"], "once");
  drawn = null;
  s.onChange(() => {});
  s.focusOn("#nowhere");
  while (frames.length) frames.shift()();
  assert.deepEqual(focused, ["#there"]);
});
