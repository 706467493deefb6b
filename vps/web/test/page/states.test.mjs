// Every state that a device, a link or a widget can be in, each drawn as what it is; a hostile API; both days on which clocks
// change; sessions; keys; what is live.
import test from "node:test";
import assert from "node:assert/strict";
import { demoAndBrowser, open, show, settled, violations, allText, until, NONSENSE } from "../harness.mjs";
import { SCENARIOS } from "../scenarios.mjs";
import { energy, percent, withUnit, setLocale } from "../../static/js/format.js";

setLocale("en");
const demo = demoAndBrowser(test);

/** What each state must show, and must not. */
const SHOWN = {
  live: { text: [/Live/, /4\.21\s*kW/, /2\.00\s*kW/, /exporting/, /0\.73\s*kW/, /1\.48\s*kW/, /charging/, /62\s*%/, /full at about \d\d:\d\d/], flows: 3, moving: true },
  ahead: { text: [/Live\s*· 0\s*s ago/], flows: 3, moving: true },
  delayed: { text: [/Delayed/, /4\.21\s*kW/], flows: 3, moving: false },
  stale: { text: [/Stale/, /as of \d\d:\d\d/, /inverter has not answered/], flows: 3, moving: false },
  offline: { text: [/Offline/, /edge has not uploaded since/, /Last known/], not: [/exporting/], flows: 0 },
  asleep: { text: [/Asleep\s*· since/, /0\s*W/], not: [/importing/], flows: 0 },
  importing: { text: [/importing/, /discharging/, /empty at about/], flows: 2, moving: true },
  night: { text: [/importing/, /charging/], flows: 2, moving: true },
  unaccounted: { text: [/±\s*0\.30\s*kW not accounted for/], flows: 3 },
  backlog: { text: [/Catching up: 3\s*h 10\s*min/, /2,280/] },
  never: { text: [/No inverter has reported yet/, /sunspool edge/] },
  unheard: { text: [/No inverter has reported yet/, /SUNGROW_HOST=\S+ \\\s+DEVICE_ID=demo \\\s+VPS_BASE_URL=https:\S+ \\\s+VPS_DEVICE_TOKEN=\S+ \\\s+sunspool edge/], flows: 0 },
  "store-away": { text: [/The server cannot read its data now/, /Retry/], flows: 0 },
  collecting: { text: [/Collecting since \d\d:\d\d/] },
  gap: { text: [/≥/, /95\s*% measured/] },
  "no-battery": { text: [/2\.60\s*kW/], not: [/Battery/, /charging/], flows: 2 },
  "no-meter": { text: [/2\.60\s*kW/], not: [/Battery/, /Exported/, /Imported/, /Self-sufficiency/], flows: 0 },
  "widget-error": { text: [/The server is busy/, /Retry/, /4\.21\s*kW/] },
  "lost-server": { text: [/No connection to sunspool/, /Retry now/] },
  fleet: { hash: "fleet", text: [/All inverters 300|All inverters\s+300/, /edge has not uploaded/, /Needs help \(1\d\)/, /299\.5\s*kWh/] },
  tariff: { text: [/Saved/, /Cost/, /€/, /Month's peak/, /Head-room/] },
};

for (const [name, want] of Object.entries(SHOWN)) {
  test(`state: ${name}`, async () => {
    const { page, wrong, close } = await open(demo.base, { width: 390, height: 844, hash: want.hash || "now", answers: SCENARIOS[name]() });
    for (const pattern of want.text) await page.waitForFunction(([source]) => new RegExp(source).test(document.querySelector("#app").innerText + [...document.querySelectorAll("svg text, .fleet li")].map((t) => t.textContent).join(" ")), [pattern.source]);
    const text = await allText(page);
    assert.doesNotMatch(text, NONSENSE);
    for (const pattern of want.not || []) assert.doesNotMatch(await page.evaluate(() => document.querySelector("main").innerText), pattern);
    if (want.flows !== undefined) await page.waitForFunction((n) => document.querySelectorAll(".flow .stream").length === n, want.flows);
    if (want.moving !== undefined) {
      const place = () => page.evaluate(() => {
        const stream = document.querySelector(".flow .stream path");
        return stream ? getComputedStyle(stream).strokeDashoffset : "";
      });
      const before = await place();
      if (want.moving) await until(async () => (await place()) !== before);
      else {
        await page.waitForTimeout(500); // four steps of a stream that moves
        assert.equal(await place(), before);
      }
    }
    await settled(page); // axe looks for the sentences of charts, too
    assert.deepEqual(await violations(page), []);
    if (name === "fleet") assert.match(await page.locator(".fleet li").first().innerText(), /Offline/);
    assert.deepEqual(wrong, []);
    await close();
  });
}

/** Damages an answer: nulls, absent fields, empty and huge. */
function damage(seed) {
  let state = seed;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const values = [null, undefined, 0, -5000, 1e12, "text", [], {}];
  const walk = (v, depth) => {
    if (depth && random() < 0.08) return values[Math.floor(random() * (depth > 2 ? 5 : values.length))];
    if (Array.isArray(v)) return random() < 0.05 ? v.slice(0, 1) : v.map((x) => walk(x, depth + 1));
    if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, /^(id|device_id|time_zone|labels|t)$/.test(k) ? x : walk(x, depth + 1)]));
    return v;
  };
  return (j) => walk(j, 0);
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`an API that answers nonsense, seed ${seed}`, async () => {
    const { page, wrong, close } = await open(demo.base, { width: 390, height: 844, answers: { "*": damage(seed * 7919), "/v1/stream": () => undefined } });
    for (const view of ["now", "day", "month", "year", "all", "device"]) {
      await show(page, view);
      await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
      const text = await allText(page);
      const at = NONSENSE.exec(text);
      assert.ok(!at, at && `${view}: ${text.slice(Math.max(0, at.index - 80), at.index + 40)}`);
    }
    assert.deepEqual(wrong, []);
    await close();
  });
}

test("numbers are those of the API, to the last digit", async () => {
  const answers = new Map();
  const { page, wrong, close } = await open(demo.base, { hash: "month", answers: { "/v1/energy": (j, url) => {
    answers.set(url.searchParams.get("resolution"), j);
    return j;
  } } });
  await settled(page);
  const space = (s) => s.replace(/\s+/g, " ");
  const same = async () => {
    const total = answers.get("day").totals;
    const shown = space(await page.locator("#totals").innerText());
    for (const v of [energy(total.pv_kwh), energy(total.load_kwh), energy(total.export_kwh), energy(total.import_kwh), ...[total.self_sufficiency_pct, total.self_consumption_pct].filter((v) => v !== null).map(percent)]) assert.ok(shown.includes(space(withUnit(v))), `${withUnit(v)} in ${shown}`);
  };
  await same();
  await page.locator("#bars button[aria-pressed]").first().click();
  await page.waitForSelector("#bars tbody tr");
  const day = answers.get("day");
  const rows = await page.locator("#bars tbody tr").allInnerTexts();
  assert.equal(rows.length, day.labels.length);
  rows.forEach((row, i) => assert.ok(space(row).includes(space(withUnit(energy(day.columns.pv_kwh[i])))), `${row}: ${day.columns.pv_kwh[i]}`));
  assert.deepEqual(wrong, []);
  await close();
});

/** The last Sundays of March and October that are over and in the demo's history. */
function clockChanges() {
  const out = {};
  for (const [month, hours] of [[2, 23], [9, 25]]) {
    for (let year = new Date().getUTCFullYear(); ; year--) {
      const last = new Date(Date.UTC(year, month + 1, 0));
      const day = new Date(last - last.getUTCDay() * 864e5);
      if (Date.now() - day < 2 * 864e5) continue;
      if (Date.now() - day < 395 * 864e5) out[hours] = day.toISOString().slice(0, 10);
      break;
    }
  }
  return out;
}

test("days on which clocks change have 23 and 25 hours, wherever the browser is", async () => {
  for (const [hours, date] of Object.entries(clockChanges())) {
    for (const zone of ["America/New_York", "Australia/Lord_Howe"]) {
      const { page, wrong, close } = await open(demo.base, { zone, hash: `day/${date}` });
      await settled(page);
      await page.locator("#hours button[aria-pressed]").click();
      await page.waitForSelector("#hours tbody th");
      const rows = await page.locator("#hours tbody th").allInnerTexts();
      assert.equal(rows.length, Number(hours), date);
      assert.equal(rows.filter((r) => r === "02:00").length, hours === "25" ? 2 : 0);
      assert.equal(rows[0], "00:00");
      assert.equal(rows[rows.length - 1], "23:00");
      assert.match(await page.locator(".period h2").innerText(), new RegExp(`\\b${Number(date.slice(8))} `));
      assert.match(await page.locator(".zone").innerText(), /Europe\/Brussels/);
      await page.keyboard.press("ArrowLeft");
      await page.waitForFunction((d) => location.hash.includes(d), new Date(Date.parse(date) - 864e5).toISOString().slice(0, 10));
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction((d) => location.hash.includes(d), date);
      assert.deepEqual(wrong, []);
      await close();
    }
  }
});

test("what is stored is on the page without asking", async () => {
  const { page, wrong, close } = await open(demo.base);
  await settled(page);
  const before = await page.evaluate(() => document.querySelector(".flow").getAttribute("aria-label"));
  // The state of the house changes with every poll; the age never grows beyond a poll or two while the stream is there.
  await until(async () => (await page.evaluate(() => document.querySelector(".flow").getAttribute("aria-label"))) !== before);
  await until(async () => /Live/.test(await page.locator(".pill").innerText()));
  assert.deepEqual(wrong, []);
  await close();
});

test("a token is asked for, refused with a reason, taken from a link and out of the address, and over when it is revoked", async () => {
  const posted = [];
  let revoked = false;
  const answers = { "/v1/session": (_, url, request) => {
    if (request.method() !== "POST") return { status: 200, body: { status: "ok" } };
    const token = JSON.parse(request.postData()).token;
    posted.push(token);
    return token === "right" ? { status: 200, body: { role: "viewer", devices: null, expires: null, open: false } } : { status: 401, body: { detail: "Invalid token", code: "bad_token" } };
  }, "/v1/energy": (j) => (revoked ? { status: 401, body: { detail: "no", code: "bad_token" } } : j) };
  const boot = (b) => {
    b.session = null;
    b.answers = {};
  };
  const { page, close } = await open(demo.base, { width: 390, height: 844, answers, boot });
  await page.waitForSelector("#token");
  assert.deepEqual(await violations(page), []);
  await page.fill("#token", "wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#login-problem:not(:empty)");
  assert.match(await page.locator("#login-problem").innerText(), /not valid/);
  await page.fill("#token", "right");
  await page.click("button[type=submit]");
  await page.waitForSelector(".flow");
  revoked = true;
  await page.evaluate(() => (location.hash = "month"));
  await page.waitForSelector("#token");
  assert.match(await page.locator("#login-problem").innerText(), /session is over/);
  await close();
  revoked = false;
  const second = await open(demo.base, { answers, boot, hash: "t=right" });
  await second.page.waitForSelector(".flow");
  assert.equal(await second.page.evaluate(() => location.hash), "");
  assert.deepEqual(posted, ["wrong", "right", "right"]);
  assert.equal(await second.page.evaluate(() => JSON.stringify(localStorage).includes("right")), false);
  await second.close();
});

test("all of it can be reached by keys", async () => {
  const { page, wrong, close } = await open(demo.base);
  await settled(page);
  for (const [key, view] of [["2", "day"], ["3", "month"], ["4", "year"], ["5", "all"], ["1", "now"]]) {
    await page.keyboard.press(key);
    await page.waitForSelector(`main.view-${view}`);
  }
  await page.keyboard.press("d");
  await page.waitForSelector("html[data-theme=dark]");
  await page.keyboard.press("d");
  await page.waitForSelector("html[data-theme=light]");
  await page.keyboard.press("?");
  await page.waitForFunction(() => document.activeElement && document.activeElement.id === "help-close");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("[role=dialog]", { state: "detached" });
  await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("u");
  await page.keyboard.press("2");
  await page.waitForSelector("main.view-day");
  await settled(page);
  const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], button:not([disabled]), input, select, summary, [tabindex='0']")].filter((e) => e.getClientRects().length).length);
  const seen = new Set();
  for (let i = 0; i < wanted + 5; i++) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return "";
      e.dataset.seen = e.dataset.seen || String(Math.random());
      return e.dataset.seen;
    }));
  }
  seen.delete("");
  assert.ok(seen.size >= wanted, `${seen.size} of ${wanted}`);
  assert.deepEqual(wrong, []);
  await close();
});

test("what is printed has its tables", async () => {
  const { page, close } = await open(demo.base, { hash: "day" });
  await settled(page);
  await page.evaluate(() => {
    globalThis.printed = [];
    for (const when of ["beforeprint", "afterprint"]) addEventListener(when, () => globalThis.printed.push(document.querySelectorAll(".for-print tbody tr").length));
  });
  await page.pdf();
  const [during, later] = await page.evaluate(() => globalThis.printed);
  assert.ok(during > 0, "what is printed has rows");
  assert.equal(later, 0, "and the page that is looked at has not");
  await page.locator("button[aria-pressed][title]").first().click();
  assert.deepEqual(await violations(page), []);
  await page.locator("button[aria-pressed][title]").first().click();
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.locator(".for-print table").first().isVisible(), false);
  await page.emulateMedia({ media: "print" });
  assert.ok(await page.locator(".for-print table").first().isVisible());
  assert.equal(await page.locator(".tabs").isVisible(), false);
  await close();
});

test("where streams are not let through, the page asks every few seconds; when they are again, it stops", async () => {
  let blocked = true;
  let asked = 0;
  const good = SCENARIOS.live();
  const { page, close } = await open(demo.base, { width: 390, height: 844, answers: { ...good, "/v1/stream": () => (blocked ? { status: 503 } : good["/v1/stream"]()), "/v1/realtime": (j) => {
    asked++;
    return good["/v1/realtime"](j);
  } } });
  await until(() => asked >= 4);
  await until(async () => /Live/.test(await page.locator(".pill").innerText()));
  assert.equal(await page.locator(".banner").count(), 0);
  blocked = false;
  await page.waitForSelector(".flow .stream");
  await close();
});

test("a page that lost the server says so, and is right again by itself", async () => {
  let down = true;
  const good = SCENARIOS.live();
  const either = (path) => (j) => (down ? undefined : good[path](j));
  const { page, close } = await open(demo.base, { width: 390, height: 844, answers: { ...good, "/v1/stream": either("/v1/stream"), "/v1/realtime": either("/v1/realtime") } });
  await page.waitForSelector(".banner.bad");
  // The button asks at once. It is pressed while the server is away: later the page may be right again by itself before that.
  const asked = await page.evaluate(() => {
    const real = globalThis.fetch;
    const urls = [];
    globalThis.fetch = (...a) => {
      urls.push(String(a[0]));
      return real(...a);
    };
    document.querySelector(".banner button").click();
    globalThis.fetch = real;
    return urls;
  });
  assert.ok(asked.some((u) => u.includes("stream")), String(asked));
  down = false;
  await page.waitForSelector(".banner.bad", { state: "detached" });
  await page.waitForSelector(".flow .stream");
  await close();
});
