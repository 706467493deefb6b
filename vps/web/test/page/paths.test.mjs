// A real server below a path of a proxy, as one of several things at a host: all views, what is live, login, files. The harness
// notes each request that leaves the path.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startBrowser, open, show, settled, until } from "../harness.mjs";
import { startServer, samplesOf, sampleAt, VIEWER } from "../server.mjs";
import { startProxy } from "../proxy.mjs";

const PATH = "/home/solar";
let browser;
let server;
let proxy;
/** What was asked of the host, and is not below the path. @type {string[]} */
const outside = [];
before(async () => {
  browser = await startBrowser();
  server = await startServer();
  proxy = await startProxy(server.base, { path: PATH, own: (req) => {
    if (!`${req.url}/`.startsWith(`${PATH}/`) && req.url !== "/favicon.ico") outside.push(`${req.method} ${req.url}`);
    return false;
  } });
  const now = Math.floor(Date.now() / 1000);
  await server.ingest(samplesOf(now - 2 * 86400, now - 3600, 60));
  await server.ingest(samplesOf(now - 3600, now, 5));
});
after(async () => {
  await browser?.close();
  proxy?.stop();
  await server?.stop();
});

test("below a path of a proxy: every view, a new sample, a file, the simple page, login and logout", async () => {
  const { page, wrong, close } = await open(proxy.base, { hash: `t=${VIEWER}`, refused: true });
  await page.waitForSelector(".flow");
  assert.equal(page.url(), `${proxy.base}/`);
  await settled(page);
  await until(async () => {
    await server.ingest([sampleAt(Date.now() / 1000, { pv_w: 6660 })]);
    return (await page.locator(".flow").getAttribute("aria-label")).includes("6.66");
  });
  for (const view of ["day", "month", "year", "all", "device", "settings", "now"]) {
    await show(page, view);
    assert.equal(await page.locator(".problem").count(), 0, view);
    if (view !== "all") continue;
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name: "CSV" }).last().click();
    const file = readFileSync(await (await waiting).path(), "utf8");
    assert.match(file, /^[\w,]+\r?\n.*\d/);
  }
  await page.reload(); // with the cookie alone
  await page.waitForSelector(".flow");
  for (const name of ["manifest.webmanifest", "favicon.ico", "openapi.yaml", "robots.txt"]) {
    const [status, url] = await page.evaluate(async (n) => fetch(n).then((r) => [r.status, r.url]), name);
    assert.ok(status === 200 && url.startsWith(`${proxy.base}/`), `${name}: ${status} ${url}`);
  }
  assert.equal(await page.evaluate(async () => {
    const url = new URL(document.querySelector("link[rel=manifest]").href);
    const m = await (await fetch(url)).json();
    const all = [m.start_url, m.scope, ...m.icons.map((i) => i.src)].map((u) => new URL(u, url).href);
    return all.every((u) => u.startsWith(new URL("./", location.href).href)) && (await Promise.all(all.map((u) => fetch(u)))).every((r) => r.ok);
  }), true, "the manifest");

  await page.goto(`${proxy.base}/lite`);
  assert.match(await page.locator("dl").innerText(), /kW/);
  await page.locator("button[name=logout]").click();
  await page.waitForSelector("input[name=token]");
  assert.equal(page.url(), `${proxy.base}/lite`);
  await page.fill("input[name=token]", VIEWER);
  await page.locator("form button").click();
  await page.waitForSelector("dl");
  await page.locator("p a").click(); // the full page
  await page.waitForSelector(".flow");
  assert.equal(page.url(), `${proxy.base}/`);
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForSelector("#token");
  await page.getByRole("link", { name: "Simple page" }).click();
  await page.waitForSelector("input[name=token]");
  assert.equal(page.url(), `${proxy.base}/lite`);
  assert.deepEqual([wrong, outside], [[], []]);
  await close();
});

test("two servers at two paths of one host keep a session each", async (t) => {
  const barn = await startServer({ viewers: ["token-of-the-barn-0123456789"] });
  t.after(barn.stop);
  await barn.ingest([sampleAt(Date.now() / 1000)]);
  const behind = await startProxy(barn.base, { path: "/barn" });
  t.after(behind.stop);
  // One host for a browser: cookies have no port.
  const { page, close } = await open(proxy.base, { hash: `t=${VIEWER}`, refused: true });
  await page.waitForSelector(".flow");
  const other = await page.context().newPage();
  await other.goto(`${behind.base}/`);
  await other.waitForSelector("#token");
  await other.fill("#token", "token-of-the-barn-0123456789");
  await other.click("button[type=submit]");
  await other.waitForSelector(".flow");
  assert.equal((await page.context().cookies()).length, 2);
  await page.reload();
  await page.waitForSelector(".flow");
  await other.getByRole("button", { name: "Menu" }).click();
  await other.getByRole("button", { name: "Log out" }).click();
  await other.waitForSelector("#token");
  await page.reload();
  await page.waitForSelector(".flow");
  await close();
});
