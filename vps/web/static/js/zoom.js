// The zoom of the Day view: one span of time for its curve and for the strip below it, by mouse, fingers and keys. What is in
// words stays that of the day.
import { html, nothing } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed } from "./store.js";

/** The shortest span, s: the axis has several labels, and the curve several points. */
const SHORTEST = 1800;

/** @typedef {{ key: string, from: number, to: number, now: number }} Day key: another one is another day; s since 1970 */
/** The day on the screen. @type {Day} */
let theDay = { key: "", from: 0, to: 0, now: 0 };
/** The part of a day that is shown in its place. */
let zoomed = { key: "", from: 0, to: 0 };

/**
 * The span that is shown if one from `from` to `to` is wanted: in the day, not too short, and not only what is yet to come. Pure.
 * @param {number} from @param {number} to @param {{ from: number, to: number, now: number }} d @returns {[number, number]}
 */
export function within(from, to, d) {
  const length = Math.min(Math.max(to - from, SHORTEST), d.to - d.from);
  const latest = Math.max(d.from, Math.min(d.to - length, d.now - SHORTEST / 2));
  const start = Math.min(Math.max((from + to - length) / 2, d.from), latest);
  return [start, start + length];
}

/** The part of the day that is shown, if that is not all of it. @returns {[number, number] | null} */
export function zoomSpan() {
  return zoomed.key && zoomed.key === theDay.key ? [zoomed.from, zoomed.to] : null;
}

/** @returns {[number, number]} */
function shownSpan() {
  return zoomSpan() || [theDay.from, theDay.to];
}

/** The charts that share the span. @returns {any[]} */
function zoomCharts() {
  return [...document.querySelectorAll("#curve sun-plot")].map((p) => /** @type {any} */ (p).chart).filter(Boolean);
}

/** @param {number} from @param {number} to */
function zoomTo(from, to) {
  const was = zoomSpan();
  const [a, b] = within(from, to, theDay);
  zoomed = { key: b - a < 0.98 * (theDay.to - theDay.from) ? theDay.key : "", from: a, to: b };
  for (const u of zoomCharts()) u.batch(() => u.redraw());
  // The view has a button more or less; the span itself only the charts show.
  if (Boolean(was) !== Boolean(zoomSpan())) changed();
}

function zoomOut() {
  if (zoomSpan()) zoomTo(theDay.from, theDay.to);
}

/** A chart of the day that shows the span. @param {import("./plot.js").Plot} plot @param {Day} d @returns {import("./plot.js").Plot} */
export function zoomable(plot, d) {
  // A display on the wall has nobody who would zoom out again.
  if (state.kiosk) return plot;
  theDay = d;
  const options = () => {
    const o = plot.options();
    o.scales.x.range = shownSpan;
    o.cursor = { drag: { x: true, y: false, setScale: false, dist: 8 } };
    o.hooks = { ...o.hooks, setSelect: [zoomToSelection] };
    return o;
  };
  return { ...plot, options, show: panTo };
}

/** What the mouse was dragged over. @param {any} u */
function zoomToSelection(u) {
  const { left, width } = u.select;
  if (!width) return;
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  // A chart that only follows the other one has no event.
  if (u.cursor.event) zoomTo(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
}

/** Moves the span until it has an instant. @param {number} at */
function panTo(at) {
  const [from, to] = shownSpan();
  const by = at < from ? at - from - SHORTEST / 6 : at > to ? at - to + SHORTEST / 6 : 0;
  if (by) zoomTo(from + by, to + by);
}

/** A key that zooms around the cursor, or out. @param {string} key @returns {boolean} whether it is one */
export function zoomKey(key) {
  const times = { "+": 0.5, "=": 0.5, "-": 2, 0: Infinity }[key];
  const u = zoomCharts()[0];
  if (!times || !u || state.kiosk || state.route.view !== "day") return false;
  const [from, to] = shownSpan();
  const { idx } = u.cursor;
  const at = typeof idx === "number" ? u.data[0][idx] : (from + to) / 2;
  if (times === Infinity) zoomOut();
  else zoomTo(at - (at - from) * times, at + (to - at) * times);
  if (typeof idx === "number") u.setCursor({ left: u.valToPos(at, "x"), top: 10 });
  return true;
}

/** Two fingers: the time between them when they came, how far apart they were, pixels, and how long the span was. */
let pinch = { at: 0, apart: 0, length: 0 };
/** One finger: where and when it came, and whether it may be a tap yet; and where and when the last tap was. */
let finger = { x: 0, y: 0, time: 0, still: false };
let lastTap = { x: 0, y: 0, time: 0 };

/** @param {{ x: number, y: number }} a @param {{ x: number, y: number }} b @param {number} pixels */
function near(a, b, pixels) {
  return Math.hypot(a.x - b.x, a.y - b.y) < pixels;
}

const fingers = {
  passive: false,
  /** @param {TouchEvent} e */
  handleEvent(e) {
    const at = [...e.touches, ...e.changedTouches].map((p) => ({ x: p.clientX, y: p.clientY }));
    if (e.touches.length === 2) twoFingers(e, at[0], at[1]);
    else if (e.type === "touchstart") finger = { ...at[0], time: e.timeStamp, still: e.touches.length === 1 };
    else if (e.type === "touchmove") finger.still = finger.still && near(finger, at[0], 10);
    else if (e.type === "touchend" && !e.touches.length && finger.still && near(finger, at[0], 10) && e.timeStamp - finger.time < 300) {
      if (e.timeStamp - lastTap.time < 400 && near(finger, lastTap, 40)) zoomOut();
      lastTap = finger;
    }
  },
};

/** The time under the middle of the fingers stays there, and a hand's breadth of time between them. @param {TouchEvent} e @param {{ x: number, y: number }} a @param {{ x: number, y: number }} b */
function twoFingers(e, a, b) {
  const u = zoomCharts()[0];
  if (!u || ![...e.touches].every((p) => /** @type {HTMLElement} */ (p.target).closest(".u-over"))) return;
  finger.still = false;
  const [from, to] = shownSpan();
  const box = u.over.getBoundingClientRect();
  const part = ((a.x + b.x) / 2 - box.left) / box.width;
  const apart = Math.max(24, Math.hypot(a.x - b.x, a.y - b.y));
  if (e.type === "touchmove") {
    if (e.cancelable) e.preventDefault();
    const length = Math.max(SHORTEST, (pinch.length * pinch.apart) / apart);
    zoomTo(pinch.at - part * length, pinch.at + (1 - part) * length);
    u.setCursor({ left: -10, top: -10 });
  } else pinch = { at: from + part * (to - from), apart, length: to - from };
}

/** Where the charts of the day are touched. @param {any} charts */
export function zoomArea(charts) {
  return state.kiosk ? charts : html`<div @touchstart=${fingers} @touchmove=${fingers} @touchend=${fingers} @dblclick=${zoomOut}>${charts}</div>`;
}

/** Shows the whole day again. */
export function zoomButton() {
  return zoomSpan() ? html`<button class="quiet unzoom" @click=${zoomOut}>${t("whole_day")}</button>` : nothing;
}
