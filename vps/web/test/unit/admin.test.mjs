// What a site is to the page, and what an admin asks for.
import test from "node:test";
import assert from "node:assert/strict";
import { siteDevice, columnWords, lackingOf } from "../../static/js/sites.js";
import { endOfDay, wishOf, tokenState } from "../../static/js/admin.js";

const device = (id, more = {}) => ({ id, name: id.toUpperCase(), state: "live", age_s: 3, time_zone: "Europe/Brussels", poll_interval_s: 5, first_sample: "2025-01-01T00:00:00Z", last_sample: "2026-06-21T10:00:00Z",
  capabilities: { battery: false, grid: false, load: false }, today: { pv_kwh: 2 }, chain: [{ hop: id }], ...more });

test("a site is what its devices are together: the worst state, the last beginning, every capability", () => {
  const all = [device("a", { capabilities: { battery: true, grid: true, load: true } }), device("b", { state: "offline", age_s: 9000, poll_interval_s: 30, first_sample: "2026-02-02T00:00:00Z" }), device("c")];
  const s = siteDevice({ name: "home", devices: ["a", "b"] }, all);
  assert.deepEqual([s.id, s.state, s.age_s, s.first_sample, s.poll_interval_s, s.today.pv_kwh, s.of, s.chain[0].hop, s.model], ["!home", "offline", 9000, "2026-02-02T00:00:00Z", 30, 4, "B: ", "b", "A, B"]);
  assert.deepEqual(s.capabilities, { battery: true, grid: true, load: true });
  assert.equal(siteDevice({ name: "home", devices: ["a", "nobody"] }, all).today.pv_kwh, null);
  const asleep = siteDevice({ name: "home", devices: ["a", "b"] }, [all[0], device("b", { state: "asleep", age_s: 30000 })]);
  assert.deepEqual([asleep.state, asleep.age_s], ["live", 3]);
  const never = siteDevice({ name: "home", devices: ["a", "b"] }, [all[0], device("b", { state: "never", age_s: null, first_sample: null, last_sample: null, chain: [] })]);
  assert.deepEqual([never.state, never.age_s, never.of, never.worst.id], ["never", null, "A: ", "b"]);
  assert.equal(siteDevice({ name: "x", devices: ["nobody"] }, []).time_zone, undefined);
});

test("who is missing is named by what is null, and what follows from it is left out", () => {
  assert.deepEqual(columnWords(["pv_kwh", "load_kwh", "solar_home_kwh", "self_sufficiency_pct"]), ["solar", "used"]);
  assert.deepEqual(columnWords(["flows"]), ["shares_and_flows"]);
  const a = { totals: { pv_kwh: 3, load_kwh: null }, incomplete: { garage: ["pv_kwh", "load_kwh"], shed: ["pv_kwh"], odd: null } };
  assert.deepEqual(lackingOf(a, true), [["garage", ["load_kwh"]]]);
  assert.deepEqual(lackingOf(a, false), [["garage", ["pv_kwh", "load_kwh"]], ["shed", ["pv_kwh"]]]);
});

test("a day is over at its local midnight, also where clocks change", () => {
  for (const [date, zone, want] of [["2026-06-21", "Europe/Brussels", "2026-06-21T22:00:00Z"], ["2026-03-29", "Europe/Brussels", "2026-03-29T22:00:00Z"], ["2026-10-25", "Europe/Brussels", "2026-10-25T23:00:00Z"],
    ["2026-06-21", "Pacific/Kiritimati", "2026-06-21T10:00:00Z"], ["2026-06-21", "Pacific/Pago_Pago", "2026-06-22T11:00:00Z"], ["2026-06-21", "Asia/Kathmandu", "2026-06-21T18:15:00Z"], ["2026-12-31", "UTC", "2027-01-01T00:00:00Z"]]) {
    assert.equal(new Date(endOfDay(date, zone) * 1000).toISOString().replace(".000", ""), want, `${date} ${zone}`);
  }
});

test("what is asked for, and why it cannot be", () => {
  const form = { role: "viewer", name: " Family ", all: true, devices: [], other: "", expiry: "never", date: "" };
  const now = Date.parse("2026-06-21T10:00:00Z") / 1000;
  const of = (more) => wishOf({ ...form, ...more }, now, "UTC");
  assert.deepEqual(of({}).wish, { role: "viewer", name: "Family", devices: ["*"], expires: undefined });
  assert.deepEqual(of({ role: "admin", all: false }).wish.devices, undefined);
  assert.deepEqual(of({ role: "device", devices: ["a", "b"], other: "b, c d" }).wish.devices, ["a", "b", "c", "d"]);
  assert.equal(of({ expiry: "30" }).wish.expires, "2026-07-21T10:00:00.000Z");
  assert.equal(of({ expiry: "date", date: "2026-06-21" }).wish.expires, "2026-06-22T00:00:00.000Z");
  for (const [more, why] of [[{ name: " " }, "need_name"], [{ name: "x".repeat(101) }, "need_name"], [{ name: "a\nb" }, "need_name"], [{ role: "device" }, "need_devices"], [{ all: false, other: "a/b" }, "bad_device"],
    [{ role: "device", other: "*" }, "bad_device"], [{ expiry: "date" }, "need_date"], [{ expiry: "date", date: "2026-06-20" }, "need_date"], [{ expiry: "date", date: "2026-13-01" }, "need_date"]]) assert.equal(of(more).why, why, JSON.stringify(more));
  assert.ok(of({ name: "🌞".repeat(100) }).wish);
});

test("a token is valid until the instant at which it ends", () => {
  assert.equal(tokenState({ expires: "2026-06-21T10:00:00Z" }, Date.parse("2026-06-21T10:00:00Z") / 1000), "expired");
  assert.equal(tokenState({ expires: "2026-06-21T10:00:00Z" }, Date.parse("2026-06-21T10:00:00Z") / 1000 - 1), "valid");
  assert.equal(tokenState({ expires: null, revoked: null }, 1), "valid");
  assert.equal(tokenState({ expires: "2020-01-01T00:00:00Z", revoked: "2019-01-01T00:00:00Z" }, 2e9), "revoked");
});
