// A year as a calendar: a column per week, a row per day of the week, six steps of colour with their numbers.
import { html, svg } from "./dom.js";
import { t } from "./i18n.js";
import { link } from "./store.js";
import { known, energy, percent, withUnit, dateText, UNKNOWN } from "./format.js";
import { addDays } from "./dates.js";
import { bestSentence, daysBetween, firstDay, lastDay, weekday } from "./calendar.js";
import { greatest, energyTable } from "./words.js";
import { chosen, switcher } from "./choice.js";

const KINDS = /** @type {const} */ (["solar", "import", "self"]);
const COLUMNS = { solar: "pv_kwh", import: "import_kwh", self: "self_sufficiency_pct" };
const STEPS = 5;
const CELL = 14;
const SVG = "http://www.w3.org/2000/svg";

/** Which of its kinds is shown. @param {{ grid: boolean, load: boolean }} parts */
function heatKinds(parts) {
  return KINDS.filter((k) => k === "solar" || (k === "import" ? parts.grid : parts.load));
}

/** @param {{ grid: boolean, load: boolean }} parts */
export function heatChoice(parts) {
  return switcher("heat", t("calendar"), heatKinds(parts).map((k) => [k, t(`heat_${k}`)]));
}

/** @param {any} a answer of /v1/energy by day @param {string} year @param {any} parts */
export function heatTable(a, year, parts) {
  const kind = /** @type {typeof KINDS[number]} */ (chosen("heat", heatKinds(parts)));
  return energyTable(a, "full", `sunspool-${year}-${kind}`, parts, { solar: "solar", import: "imported", self: "self_sufficiency" }[kind]);
}

/** The cells of answers. They are 365 elements, too many to be compared at each drawing. @type {WeakMap<any, Map<string, Element>>} */
const made = new WeakMap();

/** @param {any} a @param {string} key of what is shown of it @param {() => Array<{ date: string, x: number, y: number, cls: string }>} places */
function cellsOf(a, key, places) {
  const all = made.get(a) || new Map();
  made.set(a, all);
  if (!all.has(key)) {
    const group = document.createElementNS(SVG, "g");
    for (const p of places()) {
      const cell = document.createElementNS(SVG, "rect");
      for (const [name, v] of Object.entries({ class: p.cls, x: p.x, y: p.y, width: 12, height: 12, rx: 2.5, "data-date": p.date })) cell.setAttribute(name, String(v));
      group.append(cell);
    }
    all.set(key, group);
  }
  return all.get(key);
}

/** Which of the steps 0 to 5 a value has; 0 is only for nothing. Pure. @param {number} v @param {number} top */
export function heatStep(v, top) {
  return v <= 0 || !(top > 0) ? 0 : Math.min(STEPS, 1 + Math.floor((v / top) * STEPS * 0.99999));
}

/** @param {any} a answer of /v1/energy by day @param {string} year @param {any} parts */
export function heatMap(a, year, parts) {
  const kind = /** @type {typeof KINDS[number]} */ (chosen("heat", heatKinds(parts)));
  const list = (a.columns || {})[COLUMNS[kind]] || [];
  const text = (/** @type {any} */ v) => withUnit(kind === "self" ? percent(v) : energy(v));
  const at = new Map((a.labels || []).map((/** @type {string} */ l, /** @type {number} */ i) => [l, list[i]]));
  const best = greatest(list);
  const top = kind === "self" ? 100 : best < 0 ? 0 : list[best];
  const first = weekday(firstDay(year));
  const place = (/** @type {number} */ n) => 30 + Math.floor(n / 7) * CELL;
  const months = Array.from({ length: 12 }, (_, i) => `${year}-${String(i + 1).padStart(2, "0")}-01`).map((date) => {
    const n = first + daysBetween(firstDay(year), date);
    return svg`<text x=${place(n) + (n % 7 ? CELL : 0)} y="11">${dateText(date, "monthShort")}</text>`;
  });
  const cells = cellsOf(a, `${kind} ${year}`, () => Array.from({ length: daysBetween(firstDay(year), lastDay(year)) + 1 }, (_, i) => {
    const date = addDays(firstDay(year), i);
    const v = at.get(date);
    return { date, x: place(first + i), y: 18 + ((first + i) % 7) * CELL, cls: known(v) ? `h${heatStep(v, top)}` : "none" };
  }));
  const go = (/** @type {MouseEvent} */ e) => {
    const { date } = /** @type {SVGElement} */ (e.target).dataset;
    if (date && at.has(date)) location.hash = link("day", date);
  };
  const name = (/** @type {MouseEvent} */ e) => {
    const cell = /** @type {SVGElement} */ (e.target);
    if (!cell.dataset.date) return;
    const v = at.get(cell.dataset.date);
    const title = document.createElementNS(SVG, "title");
    title.textContent = `${dateText(cell.dataset.date, "full")}: ${known(v) ? text(v) : UNKNOWN}`;
    cell.replaceChildren(title);
  };
  const bounds = Array.from({ length: STEPS }, (_, i) => ((i + 1) / STEPS) * top);
  return html`<div class="heat ${kind}" tabindex="0" role="group" aria-label="${t("calendar")}: ${t(`heat_${kind}`)}"><svg viewBox="0 0 778 118" role="img" aria-label=${bestSentence(t(`heat_${kind}`), a.labels || [], list, text)} @click=${go} @pointerover=${name}>
    ${months}${[0, 2, 4].map((i) => svg`<text class="weekday" x="0" y=${28 + i * CELL}>${dateText(addDays("2024-01-01", i), "weekday")}</text>`)}${cells}</svg></div>
    ${top > 0 ? html`<ul class="legend scale ${kind}"><li class="key h0">0</li>${bounds.map((b, i) => html`<li class="key h${i + 1}">≤ ${text(b)}</li>`)}<li class="key none">${t("chart_empty")}</li></ul>` : ""}`;
}
