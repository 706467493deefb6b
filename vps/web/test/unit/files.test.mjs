// What must hold of the files themselves: they can be joined, they know the same words, they fit.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const root = new URL("../../static/", import.meta.url);
const read = (name) => readFileSync(new URL(name, root), "utf8");
const modules = readdirSync(new URL("js/", root)).filter((n) => n.endsWith(".js"));
const languages = ["en", "de", "nl", "fr"];
const zipped = (text) => gzipSync(text, { level: 9 }).length;

test("modules can be joined: names at the top level are unique, imports are of our own or of lit-html", () => {
  const owner = new Map();
  for (const name of modules) {
    for (const line of read(`js/${name}`).split("\n")) {
      const declared = /^(?:export )?(?:async )?(?:function|class|const|let|var)\b\s*\*?\s*(\w+)/.exec(line);
      if (declared) {
        assert.ok(!owner.has(declared[1]), `${declared[1]} is in ${owner.get(declared[1])} and in ${name}`);
        owner.set(declared[1], name);
      }
      if (/^import\b/.test(line)) assert.match(line, /^import \{ [^}]+ \} from "(\.\/\w+\.js|\.\.\/vendor\/lit-html\.js)";$/, name);
      if (/^export\b/.test(line)) assert.match(line, /^export (async function|function|const|class) /, name);
    }
  }
});

test("no file is longer than 350 lines", () => {
  for (const name of [...modules.map((n) => `js/${n}`), ...readdirSync(new URL("css/", root)).map((n) => `css/${n}`)]) assert.ok(read(name).split("\n").length <= 351, name);
});

/** The words of a dictionary, and what asks for them: t, or w in what only an admin sees. */
for (const [dir, ask, of] of [["i18n", "t", modules], ["i18n/admin", "w", ["admin.js"]]]) test(`all languages of ${dir} have the same keys, each with the same values in it, and each is used`, () => {
  const source = of.map((n) => read(`js/${n}`)).join("\n");
  const english = JSON.parse(read(`${dir}/en.json`));
  const dynamic = [...source.matchAll(new RegExp(`\\b${ask}\\(\`(\\w+)_\\$\\{`, "g"))].map((m) => m[1]);
  for (const key of Object.keys(english)) assert.ok(source.includes(`"${key}"`) || dynamic.some((p) => key.startsWith(`${p}_`)), `${key} is used nowhere`);
  for (const [, key] of source.matchAll(new RegExp(`\\b${ask}\\("(\\w+)"`, "g"))) assert.ok(key in english, `${key} is in no dictionary`);
  for (const lang of languages) {
    const words = JSON.parse(read(`${dir}/${lang}.json`));
    assert.deepEqual(Object.keys(words), Object.keys(english), lang);
    for (const [key, text] of Object.entries(words)) {
      assert.ok(text.trim(), `${lang} ${key}`);
      assert.deepEqual([...text.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort(), [...english[key].matchAll(/\{\w+\}/g)].map((m) => m[0]).sort(), `${lang} ${key}`);
    }
  }
});

test("code of others is as it was published", () => {
  for (const [, name, sum] of read("vendor/VENDOR.md").matchAll(/^\| `([\w.-]+)` .*`([0-9a-f]{64})` \|$/gm)) assert.equal(createHash("sha256").update(readFileSync(new URL(`vendor/${name}`, root))).digest("hex"), sum, name);
});

test("nothing writes styles or HTML that the policy forbids", () => {
  for (const name of modules) {
    const source = read(`js/${name}`);
    assert.doesNotMatch(source, /[\s"]style=/, name);
    assert.doesNotMatch(source, /\son\w+="/, name);
    assert.doesNotMatch(source, /innerHTML|eval\(|new Function|https?:\/\/(?!\$\{location|www\.w3\.org\/2000\/svg")/, name);
  }
});

/** What a module is made of: itself, and all that it imports. */
function closure(name, seen = new Set()) {
  if (!seen.has(name)) {
    seen.add(name);
    for (const [, other] of read(`js/${name}`).matchAll(/^import .* from "\.\/([\w.]+)";$/gm)) closure(other, seen);
  }
  return seen;
}

test("it fits: own JS of the first view 30 kB, with all other views 45 kB, for several inverters 3.2 kB more, for admins 4.8 kB more, CSS 8 kB, with the code of others 70 kB, compressed", () => {
  // As the server joins them: without imports, and without comments of whole lines and types.
  const comments = /^[ \t]*\/\/.*\n|^[ \t]*\/\*\*(?:[^*]|\*[^/])*\*\/[ \t]*\n|\/\*\* @(?:[^*\n]|\*[^/\n])*\*\/ ?|^import .*\n/gm;
  const joined = (names) => zipped([...names].map((n) => read(`js/${n}`).replace(comments, "")).join("\n"));
  const first = closure("app.js");
  const later = [...closure("more.js")].filter((n) => !first.has(n));
  const [sites, admins] = ["sites.js", "admin.js"].map((n) => [...closure(n)].filter((x) => !first.has(x) && !later.includes(x)));
  assert.deepEqual([...first, ...later, ...sites, ...admins].sort(), modules, "a module that nobody imports, or two scripts");
  const [js, more, site, admin] = [first, later, sites, admins].map(joined);
  const css = zipped(readdirSync(new URL("css/", root)).map((n) => read(`css/${n}`)).join("\n"));
  const others = ["uPlot.iife.min.js", "uPlot.min.css", "lit-html.js"].reduce((sum, n) => sum + zipped(read(`vendor/${n}`)), 0);
  console.log(`own JS ${js} B, later ${more} B, of sites ${site} B, of admins ${admin} B, CSS ${css} B, of others ${others} B, a dictionary ${zipped(read("i18n/de.json"))} B`);
  assert.ok(js <= 30000, `JS of the first view ${js}`);
  assert.ok(js + more <= 45000, `JS ${js + more}`);
  assert.ok(site <= 3200, `JS of those with several inverters ${site}`);
  assert.ok(admin <= 4800, `JS of admins alone ${admin}`);
  assert.ok(css <= 8000, `CSS ${css}`);
  assert.ok(js + css + others <= 70000, `all ${js + css + others}`);
});

/** WCAG contrast of two colours #RRGGBB. */
function contrast(a, b) {
  const light = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}

test("text has a contrast of 4.5 on cards and on the page, in light and dark", () => {
  const blocks = read("css/10-base.css").split(/\}\s*/).filter((b) => b.includes("--page:"));
  assert.equal(blocks.length, 3);
  for (const block of blocks) {
    const token = Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9A-F]{6})\b/g)].map((m) => [m[1], m[2]]));
    for (const name of ["text", "muted", "solar-ink", "battery-ink", "import-ink", "export-ink", "home", "ok", "warn", "bad"]) {
      for (const under of ["card", "page", ...(/ink|home/.test(name) ? [] : ["soft"])]) assert.ok(contrast(token[name], token[under]) >= 4.5, `${name} on ${under}: ${contrast(token[name], token[under]).toFixed(2)}`);
    }
  }
});

test("docs/testing.md has a row for each test of the page", () => {
  const text = readFileSync(new URL("../../../../docs/testing.md", import.meta.url), "utf8");
  const rows = new Set([...text.matchAll(/^\| `([\w-]+)` \| /gm)].map((m) => m[1]));
  for (const name of readdirSync(new URL("../page/", import.meta.url))) assert.ok(rows.has(name.replace(".test.mjs", "")), name);
});
