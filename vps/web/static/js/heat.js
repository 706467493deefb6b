// A year as a calendar: a column per week, a row per day of the week, six steps of colour with their numbers.
import { html, svg } from "./dom.js";
import { t } from "./i18n.js";
import { link } from "./store.js";
import { known, energy, percent, withUnit, dateText, UNKNOWN } from "./format.js";
import { addDays, firstDay, lastDay, weekday } from "./dates.js";
import { greatest, bestSentence, energyTable } from "./words.js";
import { chosen, switcher } from "./choice.js";

const KINDS = /** @type {const} */ (["solar", "import", "self"]);
const COLUMNS = { solar: "pv_kwh", import: "import_kwh", self: "self_sufficiency_pct" };
const STEPS = 5;
const CELL = 14;

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
  const cells = [];
  const months = [];
  const end = lastDay(year);
  for (let date = firstDay(year), n = first; date <= end; date = addDays(date, 1), n++) {
    const v = at.get(date);
    const x = 30 + Math.floor(n / 7) * CELL;
    const cls = known(v) ? `h${heatStep(v, top)}` : "none";
    cells.push(svg`<rect class=${cls} x=${x} y=${18 + (n % 7) * CELL} width="12" height="12" rx="2.5" data-date=${date}><title>${dateText(date, "full")}: ${known(v) ? text(v) : UNKNOWN}</title></rect>`);
    if (date.endsWith("-01")) months.push(svg`<text x=${x + (n % 7 ? CELL : 0)} y="11">${dateText(date, "monthShort")}</text>`);
  }
  const go = (/** @type {MouseEvent} */ e) => {
    const date = /** @type {SVGElement} */ (e.target).dataset.date;
    if (date && at.has(date)) location.hash = link("day", date);
  };
  const bounds = Array.from({ length: STEPS }, (_, i) => ((i + 1) / STEPS) * top);
  return html`<div class="heat ${kind}" tabindex="0" role="group" aria-label="${t("calendar")}: ${t(`heat_${kind}`)}"><svg viewBox="0 0 778 118" role="img" aria-label=${bestSentence(t(`heat_${kind}`), a.labels || [], list, text)} @click=${go}>
    ${months}${[0, 2, 4].map((i) => svg`<text class="weekday" x="0" y=${28 + i * CELL}>${dateText(addDays("2024-01-01", i), "weekday")}</text>`)}${cells}</svg></div>
    ${top > 0 ? html`<ul class="legend scale ${kind}"><li class="key h0">0</li>${bounds.map((b, i) => html`<li class="key h${i + 1}">≤ ${text(b)}</li>`)}<li class="key none">${t("chart_empty")}</li></ul>` : ""}`;
}
