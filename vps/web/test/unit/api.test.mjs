import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { shaped } from "../../static/js/api.js";

const docs = new URL("../../../../docs/", import.meta.url);

/** What docs/api*.md shows that each question is answered, which a test of the server compares with its own answers. */
function documented() {
  const all = [];
  for (const name of readdirSync(docs).filter((n) => /^api.*\.md$/.test(n))) {
    const text = readFileSync(new URL(name, docs), "utf8");
    for (const [, path, answer] of text.matchAll(/^curl -s ["']?https:\/\/solar\.example\.org(\/[^'"\s]*)(?:(?!```)[^])*```\n(?:(?!```)[^])*```json\n((?:(?!```)[^])*)```/gm)) all.push([path, JSON.parse(answer)]);
  }
  return all;
}

test("an answer that is as documented stays as it is", () => {
  const all = documented();
  for (const path of ["/v1/devices", "/v1/realtime", "/v1/energy", "/v1/series", "/v1/continuity", "/v1/capacity", "/v1/session"]) {
    assert.ok(all.some(([p]) => p.split("?")[0] === path), `docs/api*.md has no answer of ${path}`);
  }
  // Errors have no shape, and the page asks for no frames and no sites.
  for (const [path, answer] of all.filter(([p, a]) => !a.code && !/[?&](frame|site)=/.test(p))) assert.deepEqual(shaped(path, answer), answer, path);
  const device = { server: { time: "2026-06-21T10:30:00Z" }, devices: [{ id: "roof", model: null, capabilities: null, chain: [] }], next_after: null };
  assert.deepEqual(shaped("/v1/devices", device), device);
});

test("an answer of another form has what views rely on, and keeps the rest", () => {
  for (const nonsense of [null, "text", 7, true, [[]]]) {
    assert.deepEqual(shaped("/v1/energy?x=1", { tz: "Europe/Brussels", labels: nonsense, columns: nonsense, totals: nonsense }),
      { tz: "Europe/Brussels", labels: Array.isArray(nonsense) ? [""] : [], columns: {}, totals: {} });
    assert.deepEqual(shaped("/v1/energy", { columns: { pv_kwh: nonsense, load_kwh: [1, null] }, labels: ["a", "b"], compare: { columns: { pv_kwh: "x" } } }),
      { columns: { pv_kwh: Array.isArray(nonsense) ? nonsense : [], load_kwh: [1, null] }, labels: ["a", "b"], totals: {}, compare: { columns: { pv_kwh: [] }, labels: [], totals: {} } });
    assert.deepEqual(shaped("/v1/series", { tz: nonsense, gaps: nonsense, columns: nonsense }), { tz: {}, gaps: [], columns: {} });
    assert.deepEqual(shaped("/v1/devices", { server: nonsense, devices: [nonsense, { id: "roof", chain: nonsense }] }), { server: {}, devices: [{ id: "roof", chain: [] }] });
    assert.deepEqual(shaped("/v1/devices", { devices: nonsense }), { server: {}, devices: [] });
    assert.deepEqual(shaped("/v1/continuity", { holes: nonsense }), { holes: [] });
    assert.deepEqual(shaped("/v1/capacity?month=2026-06", { months: nonsense }), { months: [] });
    assert.deepEqual(shaped("/v1/realtime", { values: nonsense }), { values: {} });
  }
  assert.deepEqual(shaped("/v1/energy", { tz: "UTC" }), { tz: "UTC", labels: [], columns: {}, totals: {} });
  // What has no label is of no known time.
  assert.deepEqual(shaped("/v1/energy", { labels: ["2026-06-01"], columns: { pv_kwh: [1, 2], load_kwh: [] }, totals: {} }).columns, { pv_kwh: [1], load_kwh: [] });
  for (const other of [null, "text", 7, []]) assert.deepEqual(shaped("/v1/energy", other), other);
});
