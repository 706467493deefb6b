// The server is updated while pages of it are open: each becomes a page of the new version, when nobody is using it, and works until
// then.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBrowser, open, show, until } from "../harness.mjs";
import { startServer, samplesOf, VIEWER } from "../server.mjs";
import { buildNext, NEXT, WORD } from "../next.mjs";

let browser;
let server;
const dir = mkdtempSync(join(tmpdir(), "sunspool-update-"));
const next = join(dir, "sunspool");
before(async () => {
  buildNext(next);
  browser = await startBrowser();
  server = await startServer();
  const now = Math.floor(Date.now() / 1000);
  await server.ingest(samplesOf(now - 3600, now, 5));
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(dir, { recursive: true });
});

/** Opens a page of the old version, and updates the server. Its clock goes on as the test wishes. */
async function updated(o) {
  await server.kill();
  await server.start();
  const asked = new Set();
  const opened = await open(server.base, { hash: `t=${VIEWER}`, refused: true, before: (page) => {
    page.on("request", (r) => asked.add(r));
    page.on("response", (r) => asked.delete(r.request()));
    page.on("requestfailed", (r) => asked.delete(r));
    return page.clock.install();
  }, ...o });
  const { page } = opened;
  // Somebody uses it until then. What it asks is answered before more time passes, however slow the machine is.
  const used = async () => {
    await page.evaluate(() => void dispatchEvent(new Event("wheel")));
    await page.clock.runFor(2000);
    while (asked.size) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await page.waitForSelector(".flow");
  const file = await page.evaluate(() => document.querySelector("script[type=module]").src);
  const hellos = [];
  page.on("response", (r) => r.url().includes("/v1/stream") && r.ok() && hellos.push(r));
  await page.evaluate(() => {
    location.hash = "settings";
    globalThis.mark = "old";
  });
  await page.waitForSelector("#about"); // the view's own module has come, which the next server does not have
  await server.kill();
  await server.start(next);
  // The page comes back to the server by itself: its waits are those of its own clock.
  await until(async () => {
    await used();
    return hellos.length;
  });
  await until(async () => {
    await used();
    return page.evaluate((v) => document.querySelector("#about").innerText.includes(v), NEXT);
  });
  assert.equal((await fetch(file)).status, 404, "its files are gone");
  return opened;
}

const isOld = (page) => page.evaluate(() => globalThis.mark === "old");

test("a page of an old version becomes one of the new version as soon as nobody uses it", async () => {
  const { page, wrong, close } = await updated();
  await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 10000); // from here on no time passes by itself
  for (let i = 0; i < 4; i++) { // somebody uses it
    await page.keyboard.press("ArrowDown");
    await page.clock.runFor(40000);
  }
  assert.equal(await isOld(page), true, "who uses it is not interrupted");
  const loaded = page.waitForEvent("load");
  await page.clock.runFor(70000);
  await loaded;
  await page.clock.resume();
  await page.waitForSelector("main.view-settings");
  assert.equal(await isOld(page), false);
  assert.match(await page.locator("#settings h2").innerText(), new RegExp(WORD));
  assert.deepEqual(wrong, []);
  await close();
});

test("a page of an old version works with the new server until then: all views, and another language", async () => {
  const { page, wrong, close } = await updated();
  for (const view of ["now", "day", "month", "year", "all", "device"]) {
    await show(page, view);
    assert.equal(await page.locator(".problem").count(), 0, view);
  }
  assert.equal(await isOld(page), true);
  await page.evaluate(() => (location.hash = "settings"));
  await page.clock.runFor(10000); // one that has just been loaded does not load itself again
  await page.getByLabel("Deutsch").click();
  await page.waitForFunction(() => document.documentElement.lang === "de" && document.querySelector("#settings h2")?.innerText === "Einstellungen");
  assert.deepEqual(wrong, []);
  await close();
});

test("a wall display becomes one of the new version at once", async () => {
  const { page, close } = await updated({ query: "?kiosk=1", width: 1024, height: 600 });
  await until(async () => {
    if (!await isOld(page)) return true;
    await page.clock.runFor(5000);
    return false;
  });
  await until(async () => {
    await page.clock.runFor(1000);
    return page.evaluate(() => document.querySelector(".kiosk main .card") !== null);
  });
  await close();
});
