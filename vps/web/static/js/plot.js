// uPlot in an element: <sun-plot .plot=${...}>. It draws when its data change, follows its width and the theme, has a
// cursor for mouse, finger and keys, and a tooltip. uPlot is loaded when the first view is there: it takes a slow phone 80 ms.
import { t } from "./i18n.js";
import { attempt } from "./dom.js";

/**
 * @typedef {{ options: () => any, data: any[], height: number, key: string, of: any[], tip: (i: number) => string[][],
 *   group?: string, show?: (x: number) => void, tap?: (i: number) => void, says?: () => string }} Plot key: another one is another
 *   chart; of: what the data are made of, drawn again only if that is something else; show: to be called before the cursor goes to x;
 *   says: the same in a sentence
 */

/** @type {any} */
let uPlot = null;
let attempts = 0;
let beginning = true;
/** Charts whose sentence is not that of their data yet. @type {Set<PlotElement>} */
const unsaid = new Set();

/** @param {{ size: number[], gap?: number }} o */
export function barPaths(o) {
  return uPlot.paths.bars(o);
}

/** Calls f when what is drawn now has been painted. @param {() => void} f */
export function afterPaint(f) {
  // A hidden page gets no animation frames.
  if (document.hidden) setTimeout(f, 0);
  else requestAnimationFrame(() => setTimeout(f, 0));
}

/** Loads uPlot and draws all charts, what is on the screen before the rest, and then their sentences. @param {() => void} done is called then */
export async function loadPlots(done) {
  const url = new URL(/** @type {HTMLLinkElement} */ (document.querySelector("link[href*=uPlot][rel=modulepreload]")).href);
  // Some browsers keep that an address could not be loaded.
  if (attempts) url.search = String(attempts);
  try {
    uPlot = (await import(url.href)).uPlot;
  } catch {
    attempts++;
    setTimeout(() => void loadPlots(done), 30000);
  }
  const all = /** @type {PlotElement[]} */ ([...document.querySelectorAll("sun-plot")]);
  const shown = all.filter((e) => e.getBoundingClientRect().top < innerHeight);
  const draw = (/** @type {PlotElement[]} */ list) => list.forEach((e) => e.chart || e.build());
  draw(shown);
  if (shown.length && shown.length < all.length) await new Promise((resolve) => afterPaint(() => resolve(0)));
  draw(all);
  beginning = false;
  afterPaint(() => {
    sayAll();
    done();
  });
}

function sayAll() {
  const all = [...unsaid];
  unsaid.clear();
  for (const e of all) {
    const p = e.now;
    if (p && p.says) e.setAttribute("aria-label", attempt(p.says, () => t("error_draw")));
  }
}

/** Colours of the theme, from the style sheet. @param {string} name */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/** An axis with the looks of this page. @param {any} more */
export function axis(more) {
  return { stroke: color("muted"), font: FONT, labelFont: FONT, ticks: { show: false }, gap: 6, size: 40,
    grid: { stroke: color("chart-grid"), width: 1 }, ...more };
}

export class PlotElement extends HTMLElement {
  constructor() {
    super();
    /** @type {any} */
    this.chart = null;
    /** @type {Plot | null} */
    this.now = null;
    this.drawnKey = "";
    /** @type {ResizeObserver | null} */
    this.watch = null;
    this.retheme = () => this.build();
    this.tipBox = document.createElement("div");
    this.tipBox.className = "tip";
    this.tipBox.hidden = true;
  }

  /** @param {Plot} plot */
  set plot(plot) {
    const was = this.now;
    this.now = plot;
    this.style.height = `${plot.height}px`;
    if (!this.isConnected) return;
    if (!this.chart || !was || was.key !== plot.key || was.height !== plot.height) this.build();
    else if (plot.of.some((v, i) => v !== was.of[i])) {
      this.chart.setData(plot.data);
      this.sayLater();
    }
  }

  connectedCallback() {
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(this);
    addEventListener("themechange", this.retheme);
    if (this.now) this.build();
  }

  disconnectedCallback() {
    if (this.watch) this.watch.disconnect();
    removeEventListener("themechange", this.retheme);
    if (this.chart) this.chart.destroy();
    this.chart = null;
  }

  fit() {
    const width = Math.floor(this.clientWidth);
    if (this.chart && this.now && width && width !== this.chart.width) this.chart.setSize({ width, height: this.now.height });
    else if (!this.chart && width) this.build();
  }

  /** A sentence is text of numbers and times, for which no picture waits. */
  sayLater() {
    if (!unsaid.size && !beginning) afterPaint(sayAll);
    unsaid.add(this);
  }

  build() {
    const p = this.now;
    if (!p || !(uPlot || attempts)) return;
    this.sayLater();
    const width = Math.floor(this.clientWidth);
    if (!uPlot || !width) return;
    if (this.chart) this.chart.destroy();
    const o = p.options();
    o.width = width;
    o.height = p.height;
    o.legend = { show: false };
    o.cursor = { points: { show: false }, y: false, drag: { x: false, y: false },
      ...(p.group ? { sync: { key: p.group } } : {}), ...o.cursor };
    o.hooks = { ...o.hooks, setCursor: [() => this.showTip()] };
    try {
      this.chart = new uPlot(o, p.data, this);
    } catch (e) {
      console.warn(p.key, e);
      this.chart = null;
      return;
    }
    this.append(this.tipBox);
    this.tipBox.hidden = true;
    this.listen(this.chart.over);
  }

  /** @param {HTMLElement} over */
  listen(over) {
    /** @type {PointerEvent | null} */
    let from = null;
    over.addEventListener("pointerdown", (e) => (from = e));
    over.addEventListener("pointermove", (e) => {
      if (e.pointerType !== "touch" || !e.isPrimary) return;
      // A finger that scrolls leaves the cursor where it is.
      if (from && Math.abs(e.clientY - from.clientY) > Math.abs(e.clientX - from.clientX)) return;
      from = null;
      const box = over.getBoundingClientRect();
      this.chart.setCursor({ left: e.clientX - box.left, top: e.clientY - box.top });
    });
    over.addEventListener("click", () => {
      const i = this.chart.cursor.idx;
      if (this.now && this.now.tap && typeof i === "number") this.now.tap(i);
    });
    over.addEventListener("mouseleave", () => {
      this.tipBox.hidden = true;
    });
  }

  showTip() {
    const u = this.chart;
    const i = u && u.cursor.idx;
    const left = u ? u.cursor.left : -1;
    const lines = this.now && typeof i === "number" && left >= 0 ? this.now.tip(i) : [];
    this.tipBox.hidden = !lines.length;
    if (!lines.length) return;
    this.tipBox.replaceChildren(...lines.map(([name, value, tone]) => {
      const row = document.createElement("div");
      const a = document.createElement("span");
      const b = document.createElement("b");
      a.textContent = name;
      b.textContent = value || "";
      if (tone) a.className = `key ${tone}`;
      row.append(a, b);
      return row;
    }));
    const x = u.over.offsetLeft + left;
    const width = this.tipBox.offsetWidth;
    this.tipBox.style.left = `${Math.max(0, Math.min(this.clientWidth - width, x > this.clientWidth / 2 ? x - width - 14 : x + 14))}px`;
    this.tipBox.style.top = `${u.over.offsetTop + 4}px`;
  }
}

export function definePlot() {
  if (!customElements.get("sun-plot")) customElements.define("sun-plot", PlotElement);
}
