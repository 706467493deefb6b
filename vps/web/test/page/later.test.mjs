// What the first view does without comes later: by itself when there is nothing else to do, at once when it is needed, and
// again when it did not come.
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { Linter } from "eslint";
import { demoAndBrowser, open, show, settled, violations, until, PATIENCE_MS } from "../harness.mjs";

const demo = demoAndBrowser(test);

const RELATED = /\/more\.js(\?\d+)?$/;

test("the rest is loaded after the first view, once, and another view does not wait for it", async () => {
  const asked = [];
  const { page, wrong, close } = await open(demo.base, { before: async (p) => p.on("request", (r) => asked.push(r.url())) });
  await settled(page);
  await until(() => asked.some((u) => RELATED.test(u)));
  for (const view of ["month", "all", "device", "now", "day"]) {
    await show(page, view);
  }
  assert.equal(asked.filter((u) => RELATED.test(u)).length, 1);
  assert.deepEqual(wrong, []);
  await close();
});

test("a view that has to wait keeps its place, shows why it cannot come, and comes when it is asked for again", async () => {
  const context = await demo.browser.newContext({ viewport: { width: 390, height: 844 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (e) => wrong.push(e.stack));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (e) => (document.title = `CSP ${e.violatedDirective}`));
    // Without what the page does by itself after half a minute: here the button is meant.
    const real = setTimeout;
    globalThis.setTimeout = (f, ms, ...more) => (ms === 30000 ? 0 : real(f, ms, ...more));
  });
  let answer = () => {};
  let tries = 0;
  await page.route(RELATED, async (route) => {
    tries++;
    answer(await new Promise((resolve) => (answer = resolve)) ? route.continue() : route.abort());
  });
  await page.goto(`${demo.base}/#month`);
  await page.waitForSelector("main.view-month #loading [aria-busy=true]");
  await until(() => tries === 1);
  answer(false);
  await page.waitForSelector("#loading .problem button");
  assert.match(await page.locator("#loading").innerText(), /not reached/);
  assert.deepEqual(await violations(page), []);
  // The first view does not need it, and the way back is open.
  await page.evaluate(() => (location.hash = "now"));
  await page.waitForSelector("main.view-now .flow");
  await page.evaluate(() => (location.hash = "month"));
  await page.waitForSelector("#loading .problem button");
  await page.click("#loading button");
  await until(() => tries === 2);
  answer(true);
  await page.waitForSelector("main.view-month #totals");
  await settled(page);
  assert.doesNotMatch(await page.title(), /CSP/);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("an updated server has other files: to try again loads the page again", async () => {
  const { page, close } = await open(demo.base);
  await settled(page);
  await close();
  const second = await open(demo.base, { hash: "now" });
  let gone = true;
  await second.page.route(RELATED, (route) => (gone ? route.fulfill({ status: 404, json: { detail: "Not Found" } }) : route.continue()));
  await second.page.reload();
  await second.page.evaluate(() => (location.hash = "year"));
  await second.page.waitForSelector("#loading .problem button");
  await second.page.evaluate(() => (document.documentElement.dataset.before = "yes"));
  const again = second.page.waitForEvent("load");
  await second.page.click("#loading button");
  await again;
  gone = false;
  await second.page.waitForSelector("html:not([data-before])");
  await second.page.waitForSelector("#loading .problem button, main.view-year #totals");
  await second.close();
});

test("scripts say what their modules say: joining them changes no text", { skip: process.env.PAGE === "dev" && "modules as they are" }, async () => {
  const texts = (source) => {
    const all = [];
    const linter = new Linter();
    assert.deepEqual(linter.verify(source, { languageOptions: { ecmaVersion: 2020, sourceType: "module" } }), []);
    const walk = (node, parent) => {
      if (!node || typeof node.type !== "string") return;
      if (node.type === "TemplateElement") all.push(`\`${node.value.raw}`);
      if (node.type === "Literal" && !/^(Import|Export)/.test(parent.type)) all.push(String(node.raw));
      for (const [name, child] of Object.entries(node)) if (name !== "parent") for (const one of Array.isArray(child) ? child : [child]) if (one && typeof one === "object") walk(one, node);
    };
    walk(linter.getSourceCode().ast, {});
    return all;
  };
  const root = new URL("../../static/js/", import.meta.url);
  const html = await (await fetch(demo.base, { headers: { Accept: "text/html" } })).text();
  const at = /a\/[0-9a-f]{8}\//.exec(html)[0];
  const scripts = await Promise.all(["app.js", "more.js", "sites.js", "admin.js"].map(async (name) => (await fetch(`${demo.base}/${at}${name}`)).text()));
  const modules = readdirSync(root).map((name) => readFileSync(new URL(name, root), "utf8"));
  assert.deepEqual(scripts.flatMap(texts).sort(), modules.flatMap(texts).sort());
});
