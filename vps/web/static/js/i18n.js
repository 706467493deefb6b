// Words. A dictionary is static/i18n/<lang>.json; the one of the page's language comes with the page.

/** @type {Record<string, string>} */
export const LANGUAGES = { en: "English", de: "Deutsch", nl: "Nederlands", fr: "Français" };

/** @type {Record<string, string>} */
let words = {};

/** @param {Record<string, string>} dictionary */
export function setWords(dictionary) {
  words = dictionary;
}

/** A text with {names} replaced. @param {string} text @param {Record<string, string | number>} [values] */
export function filled(text, values) {
  return values ? text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all)) : text;
}

/** The text of a key. @param {string} key @param {Record<string, string | number>} [values] */
export function t(key, values) {
  return filled(words[key] || key, values);
}

/** @param {string} base where the page's files are @param {string} lang */
export async function loadWords(base, lang) {
  const response = await fetch(`${base}i18n/${lang}.json`);
  if (response.ok) setWords(await response.json());
  // The server has another version by now, and its files; not again and again.
  else if (performance.now() > 10000) location.reload();
}
