// Scripts of views that few see: they are loaded when one of these is opened.
import { t } from "./i18n.js";
import { changed } from "./store.js";
import { loadAgain, place } from "./later.js";

/** @type {Record<string, { module?: any, loading?: boolean, missed: number }>} */
const parts = {};

/** @param {{ module?: any, loading?: boolean, missed: number }} p @param {string} name */
async function loadPart(p, name) {
  p.loading = true;
  try {
    // Some browsers keep that an address could not be loaded.
    p.module = await import(new URL(`./${name}.js?${p.missed || ""}`, import.meta.url).href);
  } catch {
    p.missed++;
  }
  p.loading = false;
  changed();
}

/** A module of its own, if it is there; else it is loaded. @param {string} name */
export function partOf(name) {
  const p = parts[name] || (parts[name] = { missed: 0 });
  if (!p.module && !p.loading && !p.missed) void loadPart(p, name);
  return p;
}

/** What a module draws, or its place. @param {string} name @param {(module: any) => any} draw */
export function partView(name, draw) {
  const p = partOf(name);
  return p.module ? draw(p.module) : place(t(name), !p.loading && (async () => {
    await loadPart(p, name);
    if (!p.module) await loadAgain();
  }));
}
