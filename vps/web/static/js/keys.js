// What keys do.
import { state, link, VIEWS, saveSettings } from "./store.js";
import { turn, useTheme } from "./shell.js";
import { zoomKey } from "./zoom.js";

/** @param {KeyboardEvent} e @param {(n: number) => void} move @param {() => void} home of the period */
export function onKey(e, move, home) {
  const target = /** @type {HTMLElement} */ (e.target);
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || (state.help && e.key !== "Escape")) return;
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  const sideways = key === "ArrowLeft" ? -1 : key === "ArrowRight" ? 1 : 0;
  // What is wider than the screen moves by its own.
  if (sideways && target.closest(".table, .heat, pre")) return;
  if (sideways && e.shiftKey) {
    const plot = /** @type {any} */ (document.querySelector("#curve sun-plot") || document.querySelector("sun-plot"));
    if (plot) plot.step(sideways);
  } else if (sideways) move(sideways);
  else if (key >= "1" && key <= "5") location.hash = link(VIEWS[Number(key) - 1]);
  else if (key === "t") home();
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
