// Answers that are damaged at random, on every view and on the wall: nulls anywhere, empty, one row, huge, negative, absent and of the
// wrong kind. What is not known is never made up, and nothing breaks. FUZZ_SEED and FUZZ_N are which and how many; each test has its seed
// in its name.
import test from "node:test";
import assert from "node:assert/strict";
import { demoAndBrowser, open, show, allText, NONSENSE } from "../harness.mjs";

const FIRST = Number(process.env.FUZZ_SEED || 1);
const COUNT = Number(process.env.FUZZ_N || 9);
console.log(`FUZZ_SEED=${FIRST} FUZZ_N=${COUNT}`);

const demo = demoAndBrowser(test, ["--scenario", "two-inverters", "--tz", "Europe/Brussels"]);

/** Numbers in [0, 1), the same for a seed. */
function randomOf(seed) {
  let state = (seed * 7919) % 2147483647;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

/** Leaves of an answer that are numbers of energy, power and the like: not times, lengths or names. */
const MEASURED = /(_w|_wh|_kwh|_pct|_c|_kg|coverage|saved|cost)$/;

/** Calls f with each value that is no list and no object, by the name under which it is; what it returns is put in its place. */
function each(v, f, name = "") {
  if (Array.isArray(v)) return v.map((x) => each(x, f, name));
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, each(x, f, /^(values|totals|columns)$/.test(k) ? k : name === "values" ? "values" : k)]));
  return f(name, v);
}

/** An answer without a single 0, and without what is rounded to one: each 0 that is shown then is made up. */
function withoutZeros(random) {
  return (name, v) => {
    if (typeof v !== "number" || !(MEASURED.test(name) || name === "values")) return v;
    const least = /coverage/.test(name) ? 0.5 : /_pct$/.test(name) ? 7 : /_wh?$/.test(name) ? 100 : 1.5;
    return Math.abs(v) >= least ? v : (v < 0 ? -1 : 1) * least * (1 + random() * (/coverage/.test(name) ? 1 : 7));
  };
}

const KEEP = /^(id|device_id|time_zone|server|time|build|devices)$/;

/** What damages answers, by kind. */
const KINDS = {
  "nulls anywhere": (random, share = 0.02 + random() * 0.5) => (j) => each(j, (name, v) => (!KEEP.test(name) && random() < share ? null : v)),
  "nothing measured": () => (j) => each(j, (name, v) => (MEASURED.test(name) || name === "values" ? null : v)),
  "no rows": () => function cut(j) {
    if (Array.isArray(j)) return j[0] && j[0].id ? j.map(cut) : [];
    if (!j || typeof j !== "object") return j;
    return Object.fromEntries(Object.entries(j).map(([k, v]) => [k, /^(count)$/.test(k) ? 0 : k === "totals" || k === "values" ? {} : cut(v)]));
  },
  "one row": () => function cut(j) {
    if (Array.isArray(j)) return j[0] && j[0].id ? j.map(cut) : j.slice(0, 1);
    if (!j || typeof j !== "object") return j;
    return Object.fromEntries(Object.entries(j).map(([k, v]) => [k, k === "count" ? 1 : cut(v)]));
  },
  huge: (random, factor = 10 ** (3 + 9 * random())) => (j) => each(j, (name, v) => (MEASURED.test(name) && typeof v === "number" ? v * factor : v)),
  negative: (random) => (j) => each(j, (name, v) => (typeof v === "number" && (/load/.test(name) || (MEASURED.test(name) && random() < 0.2)) ? -v : v)),
  "absent fields": (random, share = 0.05 + random() * 0.3) => function drop(j) {
    if (Array.isArray(j)) return j.map(drop);
    if (!j || typeof j !== "object") return j;
    return Object.fromEntries(Object.entries(j).filter(([k]) => KEEP.test(k) || random() >= share).map(([k, v]) => [k, drop(v)]));
  },
  "wrong kinds": (random) => function spoil(j, name = "") {
    if (name && !KEEP.test(name) && random() < 0.06) return ["text", [], {}, true, null, "2026-13-45", [[]], -1e15][Math.floor(random() * 8)];
    if (Array.isArray(j)) return j.map((x) => spoil(x, Array.isArray(x) || typeof x === "object" ? "" : name));
    return j && typeof j === "object" ? Object.fromEntries(Object.entries(j).map(([k, v]) => [k, spoil(v, k)])) : j;
  },
  "lists of different lengths": (random) => function shorten(j, name = "") {
    if (Array.isArray(j)) return name !== "devices" && random() < 0.3 ? j.slice(0, Math.floor(random() * j.length)) : j.map((x) => shorten(x));
    return j && typeof j === "object" ? Object.fromEntries(Object.entries(j).map(([k, v]) => [k, shorten(v, k)])) : j;
  },
};
const NAMES = Object.keys(KINDS);

const MADE_UP = /(?<![\d.,:+−≤])0(?:[.,]0+)?\s(?:W|kW|kWh|MWh|%|kg|V|A|Hz|°C)(?![\w/])|€\s?0[.,]00/;
// The head-room below a month's peak is 0 where there is none; a scale begins with 0; a flow that is not there is 0.
const COMPUTED = "#peak, .scale, #power .for-print";

/** Axes without labels, or with what is no number; charts without anything in them. */
const badCharts = (page) => page.evaluate(() => [...document.querySelectorAll("sun-plot")].filter((p) => p.getClientRects().length).flatMap((p) => {
  const u = p.chart;
  const name = p.closest(".card").id;
  if (!u) return [`${name}: no chart`];
  const bad = u.axes.filter((a) => a.show && (!a._values || !a._values.filter((v) => v !== null && v !== "").length || a._values.some((v) => /NaN|undefined|null|Infinity/.test(String(v)))))
    .map((a) => `${name}: an axis of ${u.scales[a.scale].min} to ${u.scales[a.scale].max} has the labels ${JSON.stringify(a._values)}`);
  for (const [key, s] of Object.entries(u.scales)) if (!(s.max > s.min) || !Number.isFinite(s.max - s.min)) bad.push(`${name}: scale ${key} is ${s.min} to ${s.max}`);
  // A day has its times and its gaps also without powers; bars without a value are an empty axis.
  if (!p.now.group && !u.data.slice(1).some((c) => c.some((v) => v !== null && v !== undefined))) bad.push(`${name}: axes around nothing`);
  return bad;
}));

test("a state that the page does not know is unknown", async () => {
  const { page, wrong, close } = await open(demo.base, { hash: "fleet", answers: { "/v1/devices": (j) => {
    j.devices[0].state = "hibernating";
    return j;
  } } });
  await page.waitForSelector("main.view-fleet .pill");
  const text = await allText(page);
  assert.match(text, /\bunknown\b/);
  assert.doesNotMatch(text, /state_|hibernating/);
  assert.deepEqual(wrong, []);
  await close();
});

for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
  const kind = NAMES[seed % NAMES.length];
  test(`${kind}, seed ${seed}`, async () => {
    const random = randomOf(seed);
    const spoil = KINDS[kind](random);
    const fill = withoutZeros(random);
    const damaged = (j) => spoil(each(j, fill));
    const answers = { "*": damaged, "/v1/stream": () => undefined };
    const before100Days = new Date(Date.now() - 100 * 864e5).toISOString().slice(0, 10);
    for (const [query, views] of [["", ["now", "day", `day/${before100Days}`, "month", "year", "all", "device", "fleet", "settings"]], ["?kiosk=1", ["now", "day", "month", "year", "all"]]]) {
      const { page, wrong, close } = await open(demo.base, { width: query ? 1024 : 390, height: query ? 600 : 844, query, answers,
        boot: (b) => (b.answers = seed % 2 ? {} : damaged(b.answers)) });
      for (const view of views) {
        const where = `seed ${seed}: ${view} ${query}`;
        await show(page, view);
        const text = await allText(page);
        for (const [what, pattern] of [["nonsense", NONSENSE], ["a 0 that no answer has", MADE_UP]]) {
          let read = text;
          if (pattern === MADE_UP) read = await page.evaluate((s) => {
            const main = document.querySelector("main").cloneNode(true);
            for (const e of main.querySelectorAll(s)) e.remove();
            return [main.textContent, ...[...main.querySelectorAll("[aria-label]")].map((e) => e.getAttribute("aria-label"))].join(" ").replace(/\s+/g, " ");
          }, COMPUTED);
          const at = pattern.exec(read);
          assert.ok(!at, at && `${where}: ${what}: ${read.slice(Math.max(0, at.index - 100), at.index + 40)}`);
        }
        assert.deepEqual(await badCharts(page), [], where);
        // Numbers of sixteen digits and more may.
        if (!["huge", "wrong kinds"].includes(kind)) assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where} scrolls sideways`);
      }
      assert.deepEqual(wrong, [], `seed ${seed}`);
      await close();
    }
  });
}
