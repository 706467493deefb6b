// What keys do, and a swipe.
import { state, link, parseRoute, SIZES, VIEWS, saveSettings } from "./store.js";
import { addPeriod } from "./dates.js";
import { firstDate, todayDate } from "./now.js";
import { turn, useTheme } from "./shell.js";
import { zoomKey } from "./zoom.js";

/** Moves the cursor of a chart to the next point that has something to show. @param {import("./plot.js").PlotElement} plot @param {-1 | 1} n to the left or right */
function step({ chart: u, now }, n) {
  if (!u || !now) return;
  const x = u.data[0];
  const [first, last] = u.series[0].idxs;
  let i = typeof u.cursor.idx === "number" ? u.cursor.idx : n > 0 ? first - 1 : last + 1;
  do i += n; while (i in x && !now.tip(i).length);
  if (!(i in x)) return;
  if (now.show) now.show(x[i]);
  u.setCursor({ left: u.valToPos(x[i], "x"), top: 10 });
}

/** To another period. The address has the newest one: what is drawn comes later. @param {number} n */
function move(n) {
  const { view, date } = parseRoute(location.hash, state.route.view);
  const size = SIZES[view];
  if (!size) return;
  const to = addPeriod(date || todayDate().slice(0, size), n);
  if (to >= firstDate().slice(0, size) && to <= todayDate().slice(0, size)) location.hash = link(view, to);
}

/** A swipe over the name of the period is the previous or the next one. */
export function watchSwipes() {
  /** @type {Touch | null} */
  let from = null;
  addEventListener("touchstart", (e) => {
    from = e.touches.length === 1 && /** @type {HTMLElement} */ (e.target).closest(".navigator") ? e.touches[0] : null;
  }, { passive: true });
  addEventListener("touchend", (e) => {
    const to = e.changedTouches[0];
    const far = from ? to.clientX - from.clientX : 0;
    if (from && Math.abs(far) > 60 && Math.abs(far) > 2 * Math.abs(to.clientY - from.clientY)) move(far > 0 ? -1 : 1);
    from = null;
  }, { passive: true });
}

/** @param {KeyboardEvent} e */
export function onKey(e) {
  const target = /** @type {HTMLElement} */ (e.target);
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || (state.help && e.key !== "Escape")) return;
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  const sideways = key === "ArrowLeft" ? -1 : key === "ArrowRight" ? 1 : 0;
  // What is wider than the screen moves by its own.
  if (sideways && target.closest(".table, .heat, pre")) return;
  if (sideways && e.shiftKey) {
    const plot = document.querySelector("#curve sun-plot") || document.querySelector("sun-plot");
    if (plot) step(/** @type {import("./plot.js").PlotElement} */ (plot), sideways);
  } else if (sideways) move(sideways);
  else if (key >= "1" && key <= "5") location.hash = link(VIEWS[Number(key) - 1]);
  else if (key === "t") location.hash = link(SIZES[state.route.view] ? state.route.view : "now");
  else if (key === "c") saveSettings({ compare: state.settings.compare === "last_year" ? "previous" : state.settings.compare === "previous" ? "none" : "last_year" });
  else if (key === "d") {
    const dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    saveSettings({ theme: dark ? "light" : "dark" });
    useTheme(state.settings.theme);
  } else if (key === "u") saveSettings({ unit: state.settings.unit !== "auto" ? "auto" : state.route.view === "now" && state.unit.unit === "W" ? "kW" : "W" });
  else if (key === "f") void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.())?.catch(() => {});
  else if (key === "k") turn({ kiosk: !state.kiosk });
  else if (key === "?") turn({ help: true });
  else if (key === "Escape") turn({ help: false, menu: false });
  else if (!zoomKey(key)) return;
  e.preventDefault();
}
