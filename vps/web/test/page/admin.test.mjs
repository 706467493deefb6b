// What an admin sees: tokens are created, shown once, and revoked; backups are known. And nobody else sees any of it.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser, open, show, allText, violations, until, NONSENSE } from "../harness.mjs";
import { startServer, samplesOf, VIEWER } from "../server.mjs";

let browser;
let server;
let admin;
before(async () => {
  browser = await startBrowser();
  server = await startServer({ devices: ["garage-token-0123456789:garage"] });
  const now = Math.floor(Date.now() / 1000);
  await server.ingest(samplesOf(now - 600, now, 5));
  await server.ingest(samplesOf(now - 600, now, 60).map((s) => ({ ...s, device_id: "garage" })), {}, "garage-token-0123456789");
  server.command("site", "set", "home", "--device", "roof,garage");
  admin = adminToken("Installer");
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const adminToken = (name) => server.command("token", "create", "--role", "admin", "--name", name).split("\n")[0];
const api = async (method, path, body, token = admin) => (await fetch(server.base + path, { method, headers: { Authorization: `Bearer ${token}` }, body: body && JSON.stringify(body) })).json();
const create = (name, more = {}) => api("POST", "/v1/tokens", { role: "viewer", name, devices: ["*"], ...more });
const list = async () => (await api("GET", "/v1/tokens")).tokens;

/** The view, of an admin's session. */
async function look(o = {}) {
  const opened = await open(server.base, { hash: `t=${o.token || admin}`, refused: true, width: 390, height: 844, ...o });
  await opened.page.waitForSelector(".flow");
  await show(opened.page, "admin");
  await opened.page.waitForSelector("#tokens li, #tokens .problem, #admin");
  return opened;
}

async function fill(page, name) {
  if (!await page.locator("#token-name").isVisible()) await page.click("#new-token summary");
  await page.fill("#token-name", name);
}
const submit = (page) => page.click("#new-token button[type=submit]");
const row = (page, name) => page.locator("#tokens li").filter({ has: page.locator("bdi").getByText(name, { exact: true }) });
const everything = async (page) => `${await allText(page)}\n${await page.evaluate(() => document.documentElement.outerHTML)}`;

test("a token is created, shown once with a link and a code, and gone when the view is left", async () => {
  const asked = [];
  const { page, wrong, close } = await look({ before: async (p) => p.on("request", (r) => asked.push(`${r.url()} ${JSON.stringify(r.headers())}`)) });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await fill(page, "Family");
  assert.deepEqual(await violations(page), []);
  await submit(page);
  await page.waitForSelector("#made");
  const secret = await page.locator("#made-secret").innerText();
  const link = await page.locator("#made-link").innerText();
  assert.match(secret, /^ssv_[0-9a-f]{40}$/);
  assert.equal(link, `${server.base}/#t=${secret}`);
  await page.waitForFunction(() => document.activeElement.id === "made-title");
  assert.match(await page.locator(".qr path").getAttribute("d"), /^M2 2h7v1H2z/);
  assert.deepEqual(await violations(page), []);
  await page.locator("#made .secret button").nth(1).click();
  await page.locator("#made .secret button").nth(1).getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  // Its row is there, with all that the list has.
  await row(page, "Family").waitFor();
  assert.match(await row(page, "Family").innerText(), /Viewer · All inverters[\s\S]*Last use\s+never[\s\S]*without end/);
  const made = (await list()).find((t) => t.name === "Family");
  assert.deepEqual([made.role, made.devices, made.expires], ["viewer", null, null]);
  await show(page, "now");
  await page.goBack();
  await page.waitForSelector("#tokens li");
  assert.equal(await page.locator("#made").count(), 0);
  const kept = await page.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...globalThis.sessionStorage }, document.cookie, history.state, performance.getEntries().map((e) => e.name), globalThis.caches ? await globalThis.caches.keys() : []]));
  for (const [where, text] of Object.entries({ page: await everything(page), kept, requests: asked.join("\n"), log: server.log() })) assert.ok(!text.includes(secret), `the secret is in ${where}`);
  assert.deepEqual(wrong, []);
  await close();
  const opened = await open(server.base, { hash: new URL(link).hash.slice(1) });
  await opened.page.waitForSelector(".flow");
  assert.equal(await opened.page.evaluate(() => location.hash), "");
  await opened.close();
});

test("of a device it is what its edge is set to, without a link; a site chooses its inverters, others are named", async () => {
  const { page, wrong, close } = await look();
  await fill(page, "Edge of both");
  await page.locator("[name=role][value=device]").check();
  await submit(page);
  await until(async () => /at least one inverter/.test(await page.locator("#token-problem").innerText()));
  await page.locator("#new-token").getByRole("button", { name: "home", exact: true }).click();
  await page.fill("#token-other", "carport, barn");
  await page.locator("[name=expiry][value='30']").check();
  await submit(page);
  await page.waitForSelector("#made");
  assert.match(await page.locator("#made-edge").innerText(), /^VPS_DEVICE_TOKEN=ssd_/);
  assert.equal(await page.locator("#made-link, .qr").count(), 0);
  const made = (await list()).find((t) => t.name === "Edge of both");
  assert.deepEqual(made.devices, ["barn", "carport", "garage", "roof"]);
  assert.ok(Math.abs(Date.parse(made.expires) - Date.parse(made.created) - 30 * 864e5) < 60000);
  await page.getByRole("button", { name: "Done, hide it" }).click();
  await page.waitForSelector("#made", { state: "detached" });
  await page.waitForFunction(() => document.activeElement.id === "tokens-title");
  assert.deepEqual(wrong, []);
  await close();
});

test("what cannot be is said in plain words, and what was typed stays", async () => {
  await create("Taken");
  let answer = null;
  const { page, wrong, close } = await look({ answers: { "/v1/tokens": (j, url, request) => (request.method() !== "POST" ? j : answer || { status: j.code ? 409 : 200, body: j }) } });
  const says = async (pattern) => {
    await submit(page);
    await until(async () => pattern.test(await page.locator("#token-problem").innerText()));
  };
  for (const name of ["", "   ", "x".repeat(101), "a\u200bb"]) {
    await fill(page, name);
    await says(/a name of at most 100/);
  }
  await fill(page, "Right");
  await page.locator("[name=expiry][value=date]").check();
  await says(/Choose a day that is not over/);
  await page.fill("[name=date]", "2020-01-01");
  await says(/Choose a day that is not over/);
  await page.locator("[name=expiry][value=never]").check();
  await page.locator("[name=all][value=some]").check();
  await page.fill("#token-other", "not/a/name");
  await says(/A name of an inverter has/);
  await page.locator("[name=all][value=all]").check();
  for (const [status, code, pattern] of [[500, "", /The server answered 500|broken/], [503, "busy", /busy/], [503, "store_unavailable", /cannot read its data/], [429, "too_many_failures", /busy/], [403, "not_admin", /Only an admin/],
    [403, "cross_origin", /another site/], [409, "too_many_tokens", /as many tokens/], [422, "token_invalid", /does not take/]]) {
    answer = { status, body: { detail: status === 500 ? "broken" : "no", code } };
    await says(pattern);
  }
  answer = { status: 200, body: {} };
  await says(/answered 502/);
  answer = null;
  await fill(page, "Taken");
  await says(/Another token has this name/);
  assert.equal(await page.inputValue("#token-name"), "Taken");
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(wrong, []);
  await close();
});

test("a list that cannot be had is said, and asked for again", async () => {
  let answer = { status: 500, body: {} };
  const { page, close } = await look({ answers: { "/v1/tokens": (j) => answer || j, "/v1/backup": (j) => answer || j } });
  assert.match(await page.locator("#tokens").innerText(), /The server answered 500/);
  assert.match(await page.locator("#backup").innerText(), /The server answered 500/);
  answer = null;
  await page.locator("#tokens .problem button").click();
  await page.waitForSelector("#tokens li");
  answer = { status: 401, body: { code: "bad_token" } };
  await page.locator("#backup .problem button").click();
  await page.waitForSelector("#token");
  assert.match(await page.locator("#login-problem").innerText(), /session is over/);
  await close();
});

test("a token is revoked after a question, and its session ends; the question can be taken back", async () => {
  const { secret } = await create("Guest");
  const guest = await open(server.base, { hash: `t=${secret}`, refused: true });
  await guest.page.waitForSelector(".flow");
  const { page, wrong, close } = await look();
  await row(page, "Guest").getByRole("button").click();
  await page.waitForFunction(() => document.activeElement.id === "revoke-no");
  assert.match(await page.locator("[role=alertdialog]").innerText(), /refused from then on[\s\S]*cannot be undone/);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("[role=alertdialog]", { state: "detached" });
  await page.waitForFunction(() => document.activeElement.id.startsWith("revoke-"));
  assert.ok(!(await list()).find((t) => t.name === "Guest").revoked);
  await page.keyboard.press("Enter");
  await page.locator("[role=alertdialog] button.primary").click();
  await row(page, "Guest").waitFor({ state: "hidden" });
  await page.waitForFunction(() => document.activeElement.id === "tokens-title");
  assert.ok((await list()).find((t) => t.name === "Guest").revoked);
  await page.locator("#tokens summary").click();
  assert.match(await row(page, "Guest").innerText(), /revoked/);
  assert.equal(await row(page, "Guest").getByRole("button").count(), 0);
  await guest.page.waitForSelector("#token");
  await guest.close();
  assert.deepEqual(wrong, []);
  await close();
});

test("who revokes their own token is told before, and logged out", async () => {
  const own = adminToken("Passing");
  const { page, wrong, close } = await look({ token: own });
  assert.match(await row(page, "Passing").innerText(), /yours, of this session/);
  assert.doesNotMatch(await row(page, "Installer").innerText(), /yours/);
  await row(page, "Passing").getByRole("button").click();
  assert.match(await page.locator("[role=alertdialog]").innerText(), /your own: you are logged out/);
  await page.locator("[role=alertdialog] button.primary").click();
  await page.waitForSelector("#token");
  assert.match(await page.locator("#login-problem").innerText(), /session is over/);
  assert.doesNotMatch(await everything(page), /Installer|Passing/);
  assert.deepEqual(wrong, []);
  await close();
});

test("two admins at once: each sees what the other one did", async () => {
  const { token } = await create("Shared");
  const other = adminToken("Second");
  const [one, two] = [await look(), await look({ token: other })];
  for (const { page } of [one, two]) await row(page, "Shared").getByRole("button").click();
  for (const { page } of [one, two]) {
    await page.locator("[role=alertdialog] button.primary").click();
    await row(page, "Shared").waitFor({ state: "hidden" });
  }
  await fill(one.page, "Same name");
  await fill(two.page, "Same name");
  await submit(one.page);
  await one.page.waitForSelector("#made");
  await submit(two.page);
  await until(async () => /Another token has this name/.test(await two.page.locator("#token-problem").innerText()));
  await row(two.page, "Same name").waitFor();
  assert.equal((await list()).filter((t) => t.id === token.id && t.revoked).length, 1);
  server.command("token", "revoke", "Second");
  await two.page.waitForSelector("#token");
  for (const x of [one, two]) {
    assert.deepEqual(x.wrong, []);
    await x.close();
  }
});

test("a token that expires while the page is open is shown as expired", async () => {
  let expires = null;
  const { page, close } = await look({ answers: { "/v1/tokens": (j) => (!j.tokens ? j : { tokens: [...j.tokens, { id: "soon", name: "Soon", role: "viewer", devices: null, created: new Date().toISOString(), used: null, expires: expires || new Date(Date.now() + 3600e3).toISOString(), revoked: null }] }) } });
  await row(page, "Soon").waitFor();
  expires = new Date(Date.now() - 1000).toISOString();
  await create("Another one");
  await fill(page, "Asks again");
  await submit(page);
  await page.waitForSelector("#made");
  await row(page, "Soon").waitFor({ state: "hidden" });
  await page.locator("#tokens summary").click();
  assert.match(await row(page, "Soon").innerText(), /expired/);
  await close();
});

test("names with markup, from right to left, long and with pictures are names", async () => {
  const names = ["<img src=x onerror=alert(1)>", "عائلة الشمس", "x".repeat(100), "🌞".repeat(50), "a & \"b\" 'c' {{d}} ${e}"];
  for (const name of names) await create(name, { devices: Array.from({ length: 40 }, (_, i) => `inverter-with-a-very-long-name-of-many-letters-${i}`) });
  for (const theme of ["light", "dark"]) {
    const { page, wrong, close } = await look({ width: 320, height: 700, theme });
    for (const name of names) await row(page, name).waitFor();
    assert.equal(await page.locator("#tokens img").count(), 0);
    assert.match(await row(page, names[0]).innerText(), /\+34/);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the screen");
    await row(page, names[2]).getByRole("button").click();
    await page.waitForSelector("[role=alertdialog]");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the screen");
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(wrong, []);
    await close();
  }
});

test("when the last backup was made, and what it has", async () => {
  const { page, wrong, close } = await look();
  const card = () => page.locator("#backup").innerText();
  if (!(await api("GET", "/v1/backup")).last) assert.match(await card(), /No backup of the running server is known[\s\S]*sudo sunspool vps backup/);
  const file = join(server.dir, "backup.db");
  server.command("vps", "backup", "--force", file);
  const { last } = await until(async () => {
    const b = await api("GET", "/v1/backup");
    return b.last && b;
  });
  assert.ok(existsSync(file) && last.bytes === readFileSync(file).length);
  await page.reload();
  await page.waitForSelector("#backup dl");
  assert.match(await card(), new RegExp(`Inverters\\s+2\\s+Samples\\s+${last.samples}\\s`));
  assert.doesNotMatch(await card(), /No backup/);
  assert.doesNotMatch(await allText(page), NONSENSE);
  assert.deepEqual(wrong, []);
  await close();
  for (const [answer, pattern] of [[{ store: "postgres", last: null, restored: null, command: "pg_dump --format=custom" }, /PostgreSQL[\s\S]*pg_dump --format=custom/],
    [{ store: "file", last: { at: "2026-01-02T03:04:05Z", bytes: 5e9, devices: null, samples: null, newest: null }, restored: { at: "2026-01-03T03:04:05Z", bytes: 5e6, devices: 1, samples: 0, newest: null }, command: "x FILE" }, /4,768\s*MiB[\s\S]*–[\s\S]*older than a week[\s\S]*Restored/]]) {
    const other = await look({ answers: { "/v1/backup": () => answer } });
    await until(async () => pattern.test(await other.page.locator("#backup").innerText()));
    assert.doesNotMatch(await allText(other.page), NONSENSE);
    assert.deepEqual(await violations(other.page), []);
    await other.close();
  }
});

test("nobody else sees any of it", async () => {
  const asked = [];
  const { page, wrong, close } = await look({ token: VIEWER, before: async (p) => p.on("request", (r) => asked.push(new URL(r.url()).pathname)) });
  assert.match(await page.locator("#admin").innerText(), /Only an admin/);
  await page.getByRole("button", { name: "Menu" }).click();
  await page.waitForSelector("#menu");
  assert.equal(await page.locator("#menu a[href='#admin']").count(), 0);
  assert.ok(!asked.some((p) => /tokens|backup|admin/.test(p)), asked.filter((p) => /tokens|backup|admin/.test(p)).join());
  assert.deepEqual(wrong, []);
  await close();
});

test("it speaks every language, and nothing of it moves by itself", async () => {
  for (const lang of ["en", "de", "nl", "fr"]) {
    const { page, wrong, close } = await look({ lang, width: 1280, height: 800, before: (p) => p.addInitScript(() => {
      globalThis.moved = [];
      new globalThis.PerformanceObserver((l) => l.getEntries().forEach((e) => e.hadRecentInput || globalThis.moved.push([e.value, ...e.sources.map((s) => s.node && (s.node.id || s.node.className || s.node.nodeName))]))).observe({ type: "layout-shift", buffered: true });
    }) });
    await page.reload();
    await page.waitForSelector("#backup pre");
    await page.waitForSelector("#tokens li");
    const text = await page.locator("main").innerText();
    assert.doesNotMatch(text, /\b(tokens|backup|role|token|may|need|no)_\w+/, lang);
    await page.click("#new-token summary");
    assert.doesNotMatch(await page.locator("#new-token").innerText(), /\b(tokens|backup|role|token|may|need|no)_\w+/, lang);
    assert.deepEqual(await page.evaluate(() => globalThis.moved), [], lang);
    assert.deepEqual(wrong, []);
    await close();
  }
});
