// The part of the page's budget that is the same on every machine. What it takes in time is a table: npm run budget.
import test from "node:test";
import assert from "node:assert/strict";
import { startDemo, startBrowser } from "../harness.mjs";
import { counted } from "../counted.mjs";

test("bytes, requests, what moves by itself, and what a thousand samples leave in memory are within the budget", { skip: process.env.PAGE === "dev" && "modules as they are" }, async (t) => {
  const demo = await startDemo();
  t.after(demo.stop);
  const browser = await startBrowser();
  t.after(() => browser.close());
  const rows = await counted(demo.base, browser);
  for (const r of rows) console.log(`${r.what}: ${r.is} ${r.unit}, budget ${r.budget}`);
  assert.deepEqual(rows.filter((r) => r.counted && !(r.is <= r.budget)), []);
});
