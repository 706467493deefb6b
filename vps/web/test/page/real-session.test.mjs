// Who may look at the page of a real server, and what it shows when that ends while it is open: words and a login, and nothing of
// the house.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { createCipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { startBrowser, open, show, settled, allText, violations, until } from "../harness.mjs";
import { startServer, samplesOf, sampleAt, DEVICE, VIEWER } from "../server.mjs";
import { startProxy } from "../proxy.mjs";

const OTHER = "another-token-0123456789";
let browser;
let server;
before(async () => {
  browser = await startBrowser("--host-resolver-rules=MAP evil.example.com 127.0.0.1");
  server = await startServer();
  const now = Math.floor(Date.now() / 1000);
  await server.ingest(samplesOf(now - 3600, now, 5));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Everything that a page shows, and its HTML, which may hold more. */
const all = async (page) => `${await allText(page)}\n${await page.evaluate(() => document.querySelector("#app").innerHTML)}`;

/** Waits until the page asks for a token, and checks that nothing of the house is left on it. */
async function loggedOut(page, why) {
  await page.waitForSelector("#token");
  if (why) assert.match(await page.locator("#login-problem").innerText(), why);
  const text = await all(page);
  assert.doesNotMatch(text, new RegExp(`kWh?\\b|\\b${DEVICE}\\b|SH10RT|4\\.21|Brussels`), "data of the house");
  assert.equal(await page.locator("sun-plot, canvas, .flow, .tabs, .pill").count(), 0);
}

const look = async (o = {}) => {
  const opened = await open(o.base || server.base, { width: 390, height: 844, refused: true, ...o });
  await settled(opened.page);
  return opened;
};
const enter = (token) => async (page) => {
  await page.fill("#token", token);
  await page.click("button[type=submit]");
};

test("a wrong token is refused in words, the right one is taken, and who logs out leaves nothing behind", async () => {
  const { page, wrong, close } = await look();
  await loggedOut(page);
  await enter("wrong-token-0123456789")(page);
  await page.waitForSelector("#login-problem:not(:empty)");
  await loggedOut(page, /not valid/);
  assert.deepEqual(await violations(page), []);
  await enter(VIEWER)(page);
  await page.waitForSelector(".flow");
  const cookies = await page.context().cookies();
  assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite]), [["sunspool_session", true, "Lax"]]);
  assert.equal(cookies[0].value.includes(VIEWER), false);
  await page.reload();
  await page.waitForSelector(".flow");
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await loggedOut(page);
  assert.equal(await page.locator("#login-problem").innerText(), "", "who logs out is told of no problem");
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  await loggedOut(page);
  assert.equal(await page.evaluate(async () => (await fetch("v1/realtime")).status), 401);
  assert.deepEqual(wrong, []);
  await close();
});

test("a link logs in and leaves its token nowhere; that of a wall display does so for good", async () => {
  const days = async (page) => ((await page.context().cookies())[0].expires - Date.now() / 1000) / 86400;
  const { page, wrong, close } = await look({ hash: `t=${VIEWER}` });
  await page.waitForSelector(".flow");
  assert.equal(page.url(), `${server.base}/`);
  assert.ok(Math.abs(await days(page) - 30) < 1);
  assert.equal(await page.evaluate(() => JSON.stringify([localStorage, globalThis.sessionStorage, history.state, history.length])), '[{},{},null,2]');
  await close();
  const wall = await look({ query: "?kiosk=1", hash: `t=${VIEWER}`, width: 1024, height: 600 });
  await wall.page.waitForSelector(".kiosk .flow");
  assert.match(wall.page.url().slice(server.base.length), /^\/\?kiosk=1(#now)?$/);
  assert.ok(await days(wall.page) > 390, "a browser keeps it as long as it keeps any");
  assert.equal((await wall.page.evaluate(async () => (await fetch("v1/session")).json())).expires, null);
  await wall.close();
  const bad = await look({ hash: "t=revoked-token-0123456789" });
  await loggedOut(bad.page, /not valid/);
  await bad.close();
  assert.deepEqual([...wrong, ...wall.wrong, ...bad.wrong], []);
});

for (const view of ["now", "day", "device"]) {
  test(`a token that is revoked while the page shows ${view}`, async () => {
    server.setViewers([VIEWER, OTHER]);
    await server.reload();
    const { page, wrong, close } = await look({ hash: `t=${OTHER}` });
    await page.waitForSelector(".flow");
    await show(page, view);
    server.setViewers([VIEWER]);
    await server.reload();
    await loggedOut(page, /session is over/);
    await page.evaluate(() => (location.hash = "month"));
    await loggedOut(page);
    await enter(VIEWER)(page); // another token goes on where it was
    await page.waitForSelector("main.view-month .kpis");
    assert.deepEqual(wrong, []);
    await close();
  });
}

test("a token that is gone after a restart", async () => {
  server.setViewers([VIEWER, OTHER]);
  await server.reload();
  const { page, close } = await look({ hash: `t=${OTHER}` });
  await page.waitForSelector(".flow");
  await server.kill();
  server.setViewers([VIEWER]);
  await server.start();
  await loggedOut(page, /session is over/);
  await close();
});

test("a token that may see another set of inverters from now on keeps its session", async () => {
  server.setViewers([VIEWER, `${OTHER}:${DEVICE}`]);
  await server.reload();
  const { page, wrong, close } = await look({ hash: `t=${OTHER}` });
  await page.waitForSelector(".flow");
  const streams = [];
  page.on("response", (r) => r.url().includes("/v1/stream") && streams.push(r.status()));
  server.setViewers([VIEWER, `${OTHER}:${DEVICE}+barn`]);
  await server.reload();
  await until(() => streams.length);
  await server.ingest([sampleAt(Date.now() / 1000, { pv_w: 6660 })]);
  await until(async () => (await page.locator(".flow").getAttribute("aria-label")).includes("6.66"));
  assert.deepEqual(streams, [200]);
  assert.deepEqual(wrong, []);
  await close();
});

/** The value of a cookie as the server makes it (vps/auth/session.go), issued at an instant, s. */
function cookieOf(token, issued) {
  const sum = createHash("sha256").update(token).digest();
  const derived = (purpose) => createHmac("sha256", sum).update(purpose).digest();
  const head = Buffer.concat([Buffer.from([1]), derived("sunspool session id 1").subarray(0, 8)]);
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", derived("sunspool session key 1"), nonce);
  cipher.setAAD(head);
  const facts = Buffer.alloc(9);
  facts.writeBigInt64BE(BigInt(issued));
  return Buffer.concat([head, nonce, cipher.update(Buffer.concat([facts, Buffer.from(token)])), cipher.final(), cipher.getAuthTag()]).toString("base64url");
}

test("a session of 30 days that ends while the page is open", async (t) => {
  // A proxy that lets no cookie of the server through, so that the session is not renewed.
  const { base, stop } = await startProxy(server.base, { answered: (headers) => delete headers["set-cookie"] });
  t.after(stop);
  const cookie = (issued) => [{ name: "sunspool_session", value: cookieOf(VIEWER, issued), url: base }];
  let opened;
  let ends = 0;
  // A machine that has not shown the page when its session is over gets one that lasts longer.
  for (let seconds = 10; !opened; seconds *= 3) {
    ends = Math.floor(Date.now() / 1000) + seconds;
    opened = await look({ base, cookies: cookie(ends - 30 * 86400) });
    const { expires } = await opened.page.evaluate(async () => (await fetch("v1/session")).json());
    if (expires && await opened.page.locator(".flow").count()) assert.equal(Date.parse(expires) / 1000, ends);
    else {
      await opened.close();
      assert.ok(seconds < 300, "the page shows nothing");
      opened = null;
    }
  }
  const { page, wrong, close } = opened;
  await loggedOut(page, /session is over/);
  assert.ok(Date.now() / 1000 >= ends, "not before its time");
  await page.reload();
  await loggedOut(page);
  await close();
  const old = await look({ base, cookies: cookie(ends - 31 * 86400) });
  await loggedOut(old.page);
  await old.close();
  assert.deepEqual([...wrong, ...old.wrong], []);
});

test("a network that is let in without a token is let in by its own names only", async (t) => {
  const open1 = await startServer({ env: { WEB_AUTH: "open-lan" } });
  t.after(open1.stop);
  await open1.ingest(samplesOf(Math.floor(Date.now() / 1000) - 600, Math.floor(Date.now() / 1000), 5));
  const home = await look({ base: open1.base });
  await home.page.waitForSelector(".flow");
  await home.page.getByRole("button", { name: "Menu" }).click();
  assert.equal(await home.page.getByRole("button", { name: "Log out" }).count(), 0, "there is nothing to log out of");
  await home.close();
  // As a page of any site does that has pointed its name to an address at home.
  const foreign = await look({ base: `http://evil.example.com:${open1.port}` });
  await loggedOut(foreign.page);
  for (const path of ["v1/devices", `v1/realtime?device_id=${DEVICE}`, `v1/stream?device_id=${DEVICE}`, "v1/session", "v1/export.csv"]) {
    assert.equal(await foreign.page.evaluate(async (p) => (await fetch(p)).status, path), 401, path);
  }
  assert.doesNotMatch(await foreign.page.evaluate(async () => (await fetch("lite")).text()), new RegExp(`${DEVICE}|kWh`));
  await foreign.close();
  assert.deepEqual([...home.wrong, ...foreign.wrong], []);
});
