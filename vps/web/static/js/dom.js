// The one place that imports lit-html, so that the modules can be joined into one without names twice.
import { html as litHtml, svg as litSvg, nothing as litNothing, render as litRender } from "../vendor/lit-html.js";

export const html = litHtml;
export const svg = litSvg;
export const nothing = litNothing;
export const render = litRender;

/** Paths of the icons, 24 x 24, drawn with lines. */
const ICONS = {
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v3M12 19v3M2 12h3M19 12h3M4.9 4.9 7 7M17 17l2.1 2.1M4.9 19.1 7 17M17 7l2.1-2.1",
  grid: "M9.5 3h5l1 6 3.5 12M9.5 3l-1 6L5 21M4.5 9h15M4.5 9v2M19.5 9v2M8.5 9l8.2 6M15.5 9l-8.2 6M6.8 15h10.4",
  home: "M3.5 11.5 12 4l8.5 7.5M6 9.5V20h12V9.5M10 20v-5.5h4V20",
  battery: "M3 8h15.5v8.5H3ZM18.5 10.5H21v3.5h-2.5M6.5 10.5v3.5M9.5 10.5v3.5M12.5 10.5v3.5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z",
  menu: "M4 7h16M4 12h16M4 17h16",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  warn: "M12 4 2.5 20.5h19ZM12 10v5M12 17.5v.5",
  ok: "M4.5 12.5l5 5 10-11",
  down: "M6 6l12 12M18 6 6 18",
  table: "M4 5h16v14H4ZM4 10h16M4 14.5h16M10 5v14",
  save: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  return litHtml`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]}></path></svg>`;
}

/** The path of an icon, for use inside another drawing. @param {keyof typeof ICONS} name */
export function iconPath(name) {
  return ICONS[name];
}

/** What make returns, or, if it cannot, what stands in its place: what cannot be drawn takes nothing else with it. @template T @param {() => T} make @param {() => T} place @returns {T} */
export function attempt(make, place) {
  try {
    return make();
  } catch (e) {
    console.warn(e);
    return place();
  }
}

/** Offers a file. @param {string} name @param {Blob} blob */
export function download(name, blob) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}
