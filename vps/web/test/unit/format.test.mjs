import test from "node:test";
import assert from "node:assert/strict";
import * as f from "../../static/js/format.js";
import * as d from "../../static/js/dates.js";

const N = f.NBSP;

test("powers have the digits of their size, and no sign", () => {
  f.setLocale("en");
  for (const [w, unit, want] of [[4210, "kW", `4.21${N}kW`], [-4210, "kW", `4.21${N}kW`], [12345, "kW", `12.3${N}kW`], [9996, "kW", `10.0${N}kW`], [730, "W", `730${N}W`], [1234, "W", `1,234${N}W`],
    [24.9, "W", `0${N}W`], [24.9, "kW", `0${N}W`], [-24, "W", `0${N}W`], [25, "W", `25${N}W`], [null, "kW", "–"], [undefined, "W", "–"], [NaN, "W", "–"], [Infinity, "kW", "–"], ["3", "W", "–"]]) {
    assert.equal(f.withUnit(f.power(w, unit)), want, `${w} ${unit}`);
  }
  assert.equal(f.withUnit(f.power(-2015, "kW", true)), `−2.02${N}kW`);
  assert.equal(f.withUnit(f.power(-8, "W", true)), `−8${N}W`);
});

test("energies have two digits below 10, one below 1,000, none below 10,000, then MWh", () => {
  f.setLocale("en");
  for (const [v, want] of [[0, "0.00 kWh"], [7.9, "7.90 kWh"], [9.994, "9.99 kWh"], [9.996, "10.0 kWh"], [18.44, "18.4 kWh"], [999.94, "999.9 kWh"], [999.96, "1,000 kWh"], [9842, "9,842 kWh"], [9999.6, "10.00 MWh"],
    [39470, "39.47 MWh"], [-0.001, "0.00 kWh"], [-2.1, "−2.10 kWh"], [null, "–"]]) assert.equal(f.withUnit(f.energy(v)), want.replace(" ", N), String(v));
});

test("shares are whole, 100 % only if it is, and a little is not nothing", () => {
  f.setLocale("en");
  for (const [v, want] of [[0, "0 %"], [0.3, "< 1 %"], [0.999, "< 1 %"], [1, "1 %"], [86.4, "86 %"], [99.6, "99 %"], [99.94, "99 %"], [99.95, "100 %"], [100, "100 %"], [null, "–"]]) {
    assert.equal(f.withUnit(f.percent(v)), want.replaceAll(" ", N), String(v));
  }
});

test("a group has one unit, which does not flicker", () => {
  let u = { unit: "W", low: 0 };
  const at = (values, s) => (u = f.groupUnit(u, values, s * 1000)).unit;
  assert.equal(at([999, 20], 1), "W");
  assert.equal(at([1000, 20], 2), "kW");
  assert.equal(at([950], 3), "kW");
  assert.equal(at([850], 4), "kW");
  assert.equal(at([850], 33), "kW");
  assert.equal(at([920], 34), "kW"); // the 30 s begin again
  assert.equal(at([850], 35), "kW");
  assert.equal(at([850], 65), "W");
  assert.equal(at([null, undefined], 66), "W");
  assert.equal(f.groupUnit(u, [5], 0, "kW").unit, "kW");
  assert.equal(f.groupUnit(u, [5000], 0, "W").unit, "W");
});

test("numbers are written as in the language", () => {
  f.setLocale("de");
  assert.equal(f.withUnit(f.energy(1234.5)), `1.235${N}kWh`);
  assert.equal(f.withUnit(f.power(4210, "kW")), `4,21${N}kW`);
  assert.match(f.money(3.5, "EUR"), /3,50/);
  f.setLocale("fr");
  assert.equal(f.withUnit(f.power(4210, "kW")), `4,21${N}kW`);
  f.setLocale("nl");
  assert.equal(f.withUnit(f.power(4210, "kW")), `4,21${N}kW`);
  f.setLocale("xx");
  assert.equal(f.withUnit(f.power(4210, "kW")), `4.21${N}kW`);
});

test("a locale that Intl rejects is never given to it: the language of the page is", () => {
  for (const bad of ["c", "C", "", "POSIX", "en-US@posix", "en_US.UTF-8", "constructor", "__proto__", "*", "x", "de-DE-u-nu-latn-x", undefined, null, 7]) {
    f.setLocale(bad);
    assert.match(f.withUnit(f.power(4210, "kW")), /^4[.,]21\u00a0kW$/, String(bad));
    assert.match(f.clock(0, "UTC"), /^00:00$/, String(bad));
    assert.match(f.money(3.5, "EUR"), /3[.,]50/, String(bad));
    assert.ok(f.dateText("2026-11-23", "day").includes("2026"), String(bad));
  }
  assert.throws(() => new Intl.NumberFormat("en-US@posix"), RangeError, "Intl takes all of them: this shows nothing");
  assert.equal(f.localeOf("c", "", undefined, "en-US@posix", "nl-BE", "de-DE"), "nl-BE");
  assert.equal(f.localeOf("c"), undefined);
  for (const [names, want] of [[["de_AT.UTF-8", "fr"], "de"], [["C", "en-US@posix", "fr"], "en"], [[null, "", "c", "nl"], "nl"], [["constructor", "FR-be"], "fr"], [["zh", undefined], ""]]) {
    assert.equal(f.languageOf(...names), want, String(names));
  }
});

test("money in what is no currency is a number with its name", () => {
  f.setLocale("en");
  for (const currency of ["euro", "E1R"]) assert.equal(f.money(-3.456, currency), `−3.46${N}${currency}`);
  for (const none of ["", undefined, null, {}]) assert.equal(f.money(3.456, none), "3.46");
});

test("times are those of the device's zone, dates have none", () => {
  f.setLocale("en");
  const s = Date.UTC(2026, 9, 25, 0, 30) / 1000; // the hour that comes twice in Brussels
  assert.equal(f.clock(s, "Europe/Brussels"), "02:30");
  assert.equal(f.clock(s + 3600, "Europe/Brussels"), "02:30");
  assert.equal(f.clock(s, "Asia/Kolkata"), "06:00");
  assert.equal(f.clock(Date.UTC(2026, 0, 1) / 1000, "UTC"), "00:00");
  assert.equal(f.clock(null, "UTC"), "–");
  assert.equal(f.clock(s, "Nowhere/Atall"), "00:30");
  assert.match(f.dateText("2026-11-23", "day"), /Mon.*23 Nov 2026/);
  assert.equal(f.dateText("2026-11", "month"), "November 2026");
  assert.equal(f.dateText("2026", "day"), "2026");
});

test("an axis has few digits, and no sign", () => {
  f.setLocale("en");
  assert.deepEqual([0, -2, 0.5, 1.25, 2500].map(f.tick), ["0", "2", "0.5", "1.25", "2,500"]);
});

test("what is no instant has no date, and breaks nothing", () => {
  for (const s of [-1e15, 1e13, NaN, Infinity, null, undefined]) for (const text of [f.clock, f.moment, f.clockSeconds]) assert.equal(text(s, "Europe/Brussels"), "–");
  assert.equal(f.clock(0, "UTC"), "00:00");
});

test("numbers and euros are those of Intl, which the first view does without", () => {
  const list = [0, 1.005, 0.005, 1.115, 9.995, 999.5, 999.995, 1234567.891, 1e-7, 3e-7, 0.5, 1.5, 2.5, 123456789012.345, 9e14, 1e16, 1e21];
  for (let i = 1; i < 3000; i++) list.push((i * 7919) / 1000, 1.37 ** (i % 120) / 1e4);
  for (const [lang, locale] of [["en", "en-GB"], ["de", "de-DE"], ["nl", "nl-BE"], ["fr", "fr-BE"]]) {
    f.setLocale(lang);
    const minus = (text) => (/[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", ""));
    for (const digits of [0, 1, 2]) {
      const intl = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
      for (const size of list) for (const v of [size, -size]) assert.equal(f.decimal(v, digits), minus(intl.format(v)), `${locale} ${v} ${digits}`);
    }
    const money = new Intl.NumberFormat(locale, { style: "currency", currency: "EUR" });
    for (const size of list) for (const v of [size, -size]) assert.equal(f.money(v, "EUR"), minus(money.format(v)), `${locale} ${v}`);
    assert.equal(f.money(-3.5, "CHF"), new Intl.NumberFormat(locale, { style: "currency", currency: "CHF" }).format(-3.5).replace("-", "−"));
  }
  f.setLocale("en");
});

test("with the offsets of an answer, times and dates are those of Intl, and beyond it they are Intl's", () => {
  const zone = "Europe/Brussels";
  const [from, to] = ["2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"];
  const change = Date.UTC(2026, 9, 25, 1) / 1000;
  const instants = Array.from({ length: 200 }, (_, i) => Date.parse(from) / 1000 - 36000 + i * 900.5);
  const seen = () => instants.map((s) => [d.aheadOf(s, zone) === null, d.localDate(s, zone), f.clock(s, zone)]);
  const before = seen();
  assert.ok(before.every(([unknown]) => unknown));
  d.noteZone({ from, to, tz: { name: zone, offsets: [[change - 3600]] } });
  d.noteZone({ from, to, tz: { name: zone, offsets: [[change - 3600, 1e9]] } });
  d.noteZone({ from, to, tz: { name: zone, offsets: "7200" } });
  d.noteZone(null);
  assert.deepEqual(seen(), before, "nonsense is no offset");
  d.noteZone({ from, to, tz: { name: zone, offsets: [[Date.parse(from) / 1000, 7200], [change, 3600]] } });
  assert.deepEqual(seen().map(([, ...texts]) => texts), before.map(([, ...texts]) => texts));
  assert.equal(seen().filter(([unknown]) => !unknown).length, instants.filter((s) => s * 1000 >= Date.parse(from) && s * 1000 < Date.parse(to)).length);
});
