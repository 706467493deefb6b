// The display on the wall for hours, by a clock that the test turns: views in turn, night, the picture that moves, its memory, its
// watchdogs, and the reload of every night. What it shows is of a real server; the stream is the test's, so that it can fall silent.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, settled, allText, until, NONSENSE } from "../harness.mjs";
import { startServer, samplesOf, VIEWER } from "../server.mjs";
import { startProxy } from "../proxy.mjs";
import { flowsOf } from "../scenarios.mjs";

let browser;
let server;
before(async () => {
  browser = await startBrowser();
  server = await startServer();
  const now = Math.floor(Date.now() / 300000) * 300;
  await server.ingest(samplesOf(now - 3 * 86400, now, 300), { edge: { version: "1.0.0", poll_interval_s: 300 } });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** The server behind a proxy whose stream sends what the test says. */
async function ownStream(t) {
  const readers = new Set();
  const s = { base: "", connections: 0, mute: false, send: (/** @type {string} */ text) => readers.forEach((res) => res.write(text)) };
  const proxy = await startProxy(server.base, { own: (req, res) => {
    if (!req.url.startsWith("/v1/stream")) return false;
    s.connections++;
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    res.flushHeaders();
    readers.add(res);
    res.on("close", () => readers.delete(res));
    if (!s.mute) res.write("retry: 3000\n\n");
    return true;
  } });
  t.after(proxy.stop);
  s.base = proxy.base;
  return s;
}

// The day of all tests here, also if midnight comes while they run.
const started = Date.now();

/** The instant of a time of that day in Brussels, s. */
function todayAt(hour, minute) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Brussels", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    second: "2-digit", hourCycle: "h23" }).formatToParts(started).map((p) => [p.type, Number(p.value)]));
  const now = Math.floor(started / 1000);
  return now + (hour - parts.hour) * 3600 + (minute - parts.minute) * 60 - parts.second;
}

/** Hangs a display on the wall at an instant. step() lets time pass, and a sample come at its end. */
async function hang(t, at, query) {
  const stream = await ownStream(t);
  const wall = { now: at, stream, loads: 0, every: 15, refuse: /** @type {"" | "busy" | "away"} */ ("") };
  const asked = new Set();
  const iso = () => new Date(wall.now * 1000).toISOString();
  const fail = () => (wall.refuse === "away" ? undefined : { status: 503, body: { detail: "too many requests at once", code: "busy" } });
  const answers = {
    "/v1/devices": (j) => {
      if (wall.refuse) return fail();
      j.server.time = iso();
      Object.assign(j.devices[0], { last_sample: iso(), age_s: 0, state: "live", poll_interval_s: wall.every });
      return j;
    },
    "/v1/realtime": (j) => (wall.refuse ? fail() : { ...j, ts: iso(), age_s: 0, state: "live" }),
    "/v1/energy": (j) => (wall.refuse ? fail() : j), "/v1/series": (j) => (wall.refuse ? fail() : j),
  };
  const opened = await open(stream.base, { width: 1024, height: 600, query, hash: `t=${VIEWER}`, answers, before: async (page) => {
    page.on("load", () => wall.loads++);
    page.on("request", (r) => !r.url().includes("/v1/stream") && asked.add(r));
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => asked.delete(r));
    await page.route((u) => u.pathname === "/v1/stream", (route) => (wall.refuse ? route.abort() : route.continue()));
    await page.route((u) => u.pathname === "/", (route) => (wall.refuse === "away" ? route.abort() : route.fallback()));
    await page.clock.install({ time: at * 1000 });
    await page.addInitScript(() => {
      globalThis.reads = 0;
      const read = globalThis.ReadableStreamDefaultReader.prototype.read;
      globalThis.ReadableStreamDefaultReader.prototype.read = function (...a) {
        const p = read.apply(this, a);
        p.then(() => globalThis.reads++, () => {});
        return p;
      };
    });
    await page.clock.pauseAt((at + 1) * 1000);
  } });
  const { page } = opened;
  /** Lets s seconds pass. What is asked in one part of them is answered before the next one: servers need no time on this clock. */
  wall.pass = async (s, part = 5) => {
    for (let rest = s; rest > 0; rest -= part) {
      await page.clock.runFor(Math.min(rest, part) * 1000);
      wall.now += Math.min(rest, part);
      while (asked.size) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  wall.step = async (power = {}) => {
    await wall.pass(wall.every, wall.every);
    const reads = await page.evaluate(() => globalThis.reads);
    const s = { t: Math.floor(wall.now), pv_w: 1200, load_w: 700, battery_w: 300, grid_w: -200, soc_pct: 55, ...power };
    stream.send(`id: ${s.t}000\nevent: sample\ndata: ${JSON.stringify({ ...s, flows: flowsOf(s) })}\n\n`);
    await until(() => page.evaluate((n) => globalThis.reads > n, reads));
  };
  // The first frames are of the clock, too.
  await until(async () => {
    await wall.pass(1);
    return page.evaluate(() => document.querySelector("main .card") !== null && !document.querySelector("[aria-busy=true]"));
  });
  return { ...opened, wall };
}

test("two hours on the wall: views in turn, dark at night, a picture that moves, and memory that does not grow", async (t) => {
  const { page, wrong, wall, close } = await hang(t, todayAt(20, 30), "?kiosk=1&views=now,day,month&every=30&night=22-6");
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    return (await session.send("Runtime.getHeapUsage")).usedSize / 1e6;
  };
  const end = wall.now + 7200;
  const views = [];
  const places = new Set();
  const sizes = [];
  let dark = 0;
  let same = 0;
  for (let n = 0; wall.now < end; n++) {
    await wall.step({ pv_w: 1000 + (n % 100) * 7 });
    const seen = await page.evaluate(() => ({ view: document.querySelector("main").className, place: document.body.style.transform, dimmed: document.body.classList.contains("dimmed"),
      clock: document.querySelector(".wall b").innerText, pill: document.querySelector(".pill").innerText,
      low: Math.max(...[...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().bottom)) }));
    same = views.at(-1) === seen.view ? same + 1 : 0;
    if (!same) views.push(seen.view);
    places.add(seen.place);
    const [hour, minute] = seen.clock.split(":").map(Number);
    if (seen.dimmed !== hour >= 22 && minute % 60 !== 0) assert.fail(`${seen.clock}: ${seen.dimmed ? "dark" : "bright"}`);
    dark += seen.dimmed ? wall.every : 0;
    assert.match(seen.pill, /Live/, seen.clock);
    if (same) assert.ok(seen.low <= 600, `${seen.clock}: ${seen.view} ends at ${seen.low}`); // it has had time to fit
    if (n % 40 === 0) {
      await settled(page);
      assert.doesNotMatch(await allText(page), NONSENSE);
      sizes.push(await heap());
    }
  }
  const turns = views.length;
  console.log(`${turns} turns, dark for ${dark} s of 7200, ${places.size} places; heap in MB every 10 min: ${sizes.map((s) => s.toFixed(2)).join(" ")}`);
  assert.ok(turns >= 235 && turns <= 241, `${turns} turns of 30 s in two hours`);
  views.forEach((v, i) => assert.equal(v, `view-${["now", "day", "month"][i % 3]}`));
  assert.ok(Math.abs(dark - 1800) <= 2 * wall.every, `dark for ${dark} s from 22:00 to 22:30`);
  assert.equal(places.size, 4);
  for (const p of places) for (const [, px] of p.matchAll(/(\d+)px/g)) assert.ok(Number(px) <= 3, p);
  // The first ten minutes fill what is kept: the samples of ten minutes, answers, formats.
  const grown = Math.max(...sizes.slice(-3)) - Math.min(...sizes.slice(2, 5));
  assert.ok(grown < 1, `the heap has grown by ${grown.toFixed(2)} MB`);
  assert.equal(wall.stream.connections, 1);
  assert.equal(wall.loads, 1);
  assert.ok(await page.evaluate(() => history.length) < 5, "turns are not kept to go back to");
  assert.deepEqual(wrong, []);
  await close();
});

test("a wall display begins again at 04:00, and once", async (t) => {
  const { page, wrong, wall, close } = await hang(t, todayAt(2, 50), "?kiosk=1");
  wall.every = 30;
  // The display's clock may be a second or two ahead.
  const four = todayAt(4, 0);
  while (wall.now < four - 60) await wall.step();
  assert.equal(wall.loads, 1);
  await until(async () => {
    await wall.pass(5);
    return wall.loads === 2;
  });
  assert.ok(wall.now < four + 60);
  await until(async () => {
    await wall.pass(1);
    return page.evaluate(() => document.querySelector(".kiosk .flow") !== null);
  });
  for (let n = 0; n < 10; n++) await wall.step();
  assert.equal(wall.loads, 2);
  assert.deepEqual(wrong, []);
  await close();
});

test("a stream that falls silent is opened again after 45 s; a display that gets nothing for 5 min is loaded again, if there is a server", async (t) => {
  const { page, wall, close } = await hang(t, todayAt(12, 0), "?kiosk=1");
  await wall.step();
  const since = wall.now;
  wall.stream.mute = true;
  await wall.pass(44);
  assert.equal(wall.stream.connections, 1);
  await until(async () => {
    await wall.pass(1);
    return wall.stream.connections === 2;
  });
  console.log(`a silent stream was opened again after ${Math.round(wall.now - since)} s`);
  // Streams say nothing, but the question of every few seconds has answers: that is as good.
  await wall.pass(900);
  await until(() => page.evaluate(() => /Live/.test(document.querySelector(".pill").innerText)));
  assert.equal(wall.loads, 1);
  // No server at all: what is on the wall stays there, and nothing is loaded, which would end in the browser's own error.
  wall.refuse = "away";
  await wall.pass(900);
  assert.match(await page.locator(".banner.bad").innerText(), /No connection/);
  assert.equal(wall.loads, 1);
  // A server that has the page and answers nothing else.
  wall.refuse = "busy";
  await until(async () => {
    await wall.pass(5);
    return wall.loads === 2;
  });
  wall.refuse = "";
  wall.stream.mute = false;
  await until(async () => {
    await wall.pass(1);
    return page.evaluate(() => /Live/.test((document.querySelector(".kiosk .pill") || { innerText: "" }).innerText));
  });
  await close();
});
