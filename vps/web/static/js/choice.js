// Buttons for one of several ways to see a card.
import { html } from "./dom.js";
import { state, changed } from "./store.js";

/** One of several ways to see a card, kept for this visit. @param {string} id @param {string[]} keys the first one is usual */
export function chosen(id, keys) {
  return keys.find((k) => state.tables.has(`${id}-${k}`)) || keys[0];
}

/** @param {string} id @param {string} title @param {string[][]} options key and text */
export function switcher(id, title, options) {
  const keys = options.map(([k]) => k);
  return html`<div class="switch" role="group" aria-label=${title}>${options.map(([key, text]) => html`<button aria-pressed=${key === chosen(id, keys) ? "true" : "false"} @click=${() => {
    for (const k of keys) state.tables.delete(`${id}-${k}`);
    state.tables.add(`${id}-${key}`);
    changed();
  }}>${text}</button>`)}</div>`;
}
