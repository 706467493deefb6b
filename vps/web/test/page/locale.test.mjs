// Browsers whose language Intl rejects, as WebKitGTK with LANG=C.UTF-8: the page is in the language that the server chose for it, and draws
// all that it draws elsewhere.
import test, { before, after } from "node:test";
import assert from "node:assert/strict";
import { startBrowser, open, show, allText, NONSENSE } from "../harness.mjs";
import { startServer, samplesOf, VIEWER } from "../server.mjs";

let browser;
let server;
before(async () => {
  browser = await startBrowser();
  server = await startServer();
  const now = Math.floor(Date.now() / 1000);
  await server.ingest(samplesOf(now - 86400, now, 60));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const [language, lang] of [["C", "de"], ["", "fr"], ["en-US@posix", "nl"], ["en_US.UTF-8", "en"]]) {
  test(`a browser whose language is "${language}"`, async () => {
    const { page, wrong, close } = await open(server.base, { hash: `t=${VIEWER}`, lang: `${lang}-BE`, refused: true, before: (p) => p.addInitScript((name) => {
      for (const [key, value] of [["language", name], ["languages", [name]]]) Object.defineProperty(globalThis.Navigator.prototype, key, { get: () => value, configurable: true });
    }, language) });
    await page.waitForSelector(".flow");
    assert.equal(await page.evaluate(() => document.documentElement.lang), lang);
    for (const view of ["now", "day", "month", "year", "all", "device", "settings"]) {
      await show(page, view);
      assert.doesNotMatch(await allText(page), NONSENSE, view);
    }
    await page.evaluate(() => (location.hash = "day"));
    await page.waitForSelector("main.view-day canvas");
    assert.deepEqual(wrong, []);
    await close();
  });
}
