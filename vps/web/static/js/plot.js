// uPlot in an element: <sun-plot .plot=${...}>. It draws when its data change, follows its width and the theme, has a
// cursor for mouse, finger and keys, and a tooltip. uPlot itself is a global of vendor/uPlot.iife.min.js.

/**
 * @typedef {{ options: () => any, data: any[], height: number, key: string, of: any[], tip: (i: number) => string[][],
 *   group?: string, zoom?: boolean, tap?: (i: number) => void }} Plot key: another one is another chart; of: what the
 *   data are made of, drawn again only if that is something else
 */

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
    else if (plot.of.some((v, i) => v !== was.of[i])) this.chart.setData(plot.data, !plot.zoom);
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

  build() {
    const width = Math.floor(this.clientWidth);
    const p = this.now;
    if (!p || !width) return;
    if (this.chart) this.chart.destroy();
    const o = p.options();
    o.width = width;
    o.height = p.height;
    o.legend = { show: false };
    o.cursor = { points: { show: false }, y: false, drag: { x: Boolean(p.zoom), y: false, setScale: Boolean(p.zoom) },
      ...(p.group ? { sync: { key: p.group } } : {}), ...o.cursor };
    o.hooks = { ...o.hooks, setCursor: [() => this.showTip()] };
    try {
      this.chart = new (/** @type {any} */ (window).uPlot)(o, p.data, this);
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
    over.addEventListener("pointermove", (e) => {
      if (e.pointerType !== "touch") return;
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

  /** Moves the cursor by n points, for keys. @param {number} n */
  step(n) {
    if (!this.chart) return;
    const x = this.chart.data[0];
    const i = Math.min(x.length - 1, Math.max(0, (typeof this.chart.cursor.idx === "number" ? this.chart.cursor.idx : n > 0 ? -1 : x.length) + n));
    this.chart.setCursor({ left: this.chart.valToPos(x[i], "x"), top: 10 });
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
