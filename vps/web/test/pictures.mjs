// Pictures of every view in both themes at every width, and of every state, into OUT (pictures): to be looked at.
import { mkdirSync } from "node:fs";
import { startDemo, startBrowser, open, settled } from "./harness.mjs";
import { SCENARIOS } from "./scenarios.mjs";

const out = process.env.OUT || "pictures";
mkdirSync(out, { recursive: true });
const demo = await startDemo((process.env.DEMO || "").split(" ").filter(Boolean)); // flags of sunspool demo
const browser = await startBrowser();
const before100Days = new Date(Date.now() - 100 * 864e5).toISOString().slice(0, 10);

/** @param {string} name @param {object} o @param {boolean} [whole] */
async function take(name, o, whole = true) {
  const { page, close } = await open(demo.base, o);
  await settled(page);
  await page.waitForFunction(() => !document.querySelector("#peak .hollow")); // it is asked for after the first view
  await page.screenshot({ path: `${out}/${name}.png`, fullPage: whole });
  await close();
}

for (const theme of ["light", "dark"]) {
  for (const [width, height] of [[360, 780], [768, 1024], [1280, 800]]) {
    for (const view of ["now", "day", `day/${before100Days}`, "month", "year", "all", "device", "settings"]) {
      await take(`${view.replace(/\/.*/, "-before")}-${width}-${theme}`, { theme, width, height, hash: view });
    }
  }
  await take(`wall-1024-${theme}`, { theme, width: 1024, height: 600, query: "?kiosk=1" }, false);
  for (const [name, make] of Object.entries(SCENARIOS)) {
    await take(`state-${name}-${theme}`, { theme, width: 390, height: 844, hash: name === "fleet" ? "fleet" : "now", answers: make() }, name !== "fleet");
  }
}
await browser.close();
demo.stop();
