// The power flow: four nodes, six edges, seven flows (grid and battery share an edge). Drawn in 400 x 464 units.
import { html, svg, nothing, iconPath } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./store.js";
import { DEAD_BAND_W, known, power, withUnit, UNKNOWN, percentText, powerText } from "./format.js";

/** Edges in the direction of their flow: its path, its arrow (x, y, degrees), and the source whose colour it has. */
const EDGES = [
  { flow: "solar_home", path: "M209 114Q222 203 286 213", arrow: [274, 210, 14], color: "solar", needs: "home" },
  { flow: "solar_battery", path: "M200 115V325", arrow: [200, 312, 90], color: "battery", needs: "battery" },
  { flow: "solar_grid", path: "M191 114Q178 203 114 213", arrow: [126, 210, 166], color: "export", needs: "grid" },
  { flow: "grid_home", path: "M114 220H286", arrow: [273, 220, 0], color: "import", needs: "grid home" },
  { flow: "battery_home", path: "M209 326Q222 237 286 227", arrow: [274, 230, -14], color: "battery", needs: "battery home" },
  { flow: "battery_grid", path: "M191 326Q178 237 114 227", arrow: [126, 230, 194], color: "export", needs: "battery grid" },
  { flow: "grid_battery", path: "M114 227Q178 237 191 326", arrow: [189, 313, 78], color: "import", needs: "battery grid" },
];

/**
 * @typedef {import("./store.js").Sample} Sample
 * @typedef {{ battery: boolean, grid: boolean, load: boolean }} Parts what the unit can measure
 */

/** What each node says. Pure. @param {Sample | null} s @param {Parts} parts @param {string} unit */
export function flowNodes(s, parts, unit) {
  const v = s || { pv_w: null, grid_w: null, load_w: null, battery_w: null, soc_pct: null };
  const nodes = [{ id: "solar", icon: "sun", x: 200, y: 62, name: t("solar"), value: power(v.pv_w, unit), caption: "", cls: "" }];
  if (parts.grid) {
    nodes.push({ id: "grid", icon: "grid", x: 61, y: 220, name: t("grid"), value: power(v.grid_w, unit),
      caption: direction(v.grid_w, "importing", "exporting"), cls: !known(v.grid_w) || Math.abs(v.grid_w) < DEAD_BAND_W ? "none" : v.grid_w < 0 ? "out" : "in" });
  }
  if (parts.load) nodes.push({ id: "home", icon: "home", x: 339, y: 220, name: t("home"), value: power(v.load_w, unit), caption: "", cls: "" });
  if (parts.battery) {
    nodes.push({ id: "battery", icon: "battery", x: 200, y: 378, name: percentText(v.soc_pct), value: power(v.battery_w, unit),
      caption: direction(v.battery_w, "charging", "discharging"), cls: "" });
  }
  return nodes;
}

/** @param {number | null | undefined} w @param {string} above @param {string} below */
function direction(w, above, below) {
  if (!known(w)) return "";
  return Math.abs(w) < DEAD_BAND_W ? t("idle") : t(w > 0 ? above : below);
}

/** The picture in one sentence. Pure. @param {Sample | null} s @param {Parts} parts @param {string} unit */
export function flowSentence(s, parts, unit) {
  if (!s) return t("flow_none");
  const say = flowNodes(s, parts, unit).map((n) => {
    const name = t(n.id);
    const value = n.value.text === UNKNOWN ? t("unknown") : withUnit(n.value);
    const soc = n.id === "battery" && known(s.soc_pct) ? `, ${n.name}` : "";
    return `${name} ${value}${n.caption ? ` ${n.caption}` : ""}${soc}`;
  });
  return `${say.join("; ")}.`;
}

/** Reports whether one of the flows is known. @param {Sample | null} s */
export function hasFlows(s) {
  return EDGES.some((e) => known(s && s.flows && s.flows[e.flow]));
}

/** The flows as a table. Pure. @param {Sample | null} s @param {string} unit @returns {import("./table.js").Table} */
export function flowTable(s, unit) {
  const name = (/** @type {string} */ part) => t(part);
  return { file: "sunspool-now", first: t("help_flows"), fields: [{ name: t("power"), unit: "W", text: (v) => powerText(v, unit) }],
    rows: EDGES.map((e) => ({ label: e.flow.split("_").map(name).join(" → "), v: [s && s.flows ? s.flows[e.flow] : null] })).filter((r) => known(r.v[0])) };
}

/**
 * Moves the streams, while they are on the screen, by a quarter of their pattern eight times a second. A CSS animation makes
 * sixty frames a second, also one in steps.
 */
export function moveStreams() {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let n = 0;
  setInterval(() => {
    const flow = document.hidden || still.matches || state.lowPower ? null : document.querySelector(".flow.live");
    if (!flow || flow.getBoundingClientRect().bottom <= 0) return;
    n = (n + 1) % 4;
    for (const s of /** @type {NodeListOf<SVGElement>} */ (flow.querySelectorAll(".stream"))) s.style.strokeDashoffset = String(-11 * n / 4);
  }, 125);
}

/** What the meters do not explain, in W, if it is worth a line. Pure. @param {Sample | null} s */
export function unaccounted(s) {
  const u = s && s.flows ? s.flows.unaccounted : null;
  if (!s || !known(u) || !known(s.load_w) || !known(s.grid_w)) return null;
  const size = Math.max(s.pv_w || 0, s.load_w || 0, Math.abs(s.grid_w || 0), Math.abs(s.battery_w || 0));
  return Math.abs(u) > Math.max(50, size * 0.05) ? u : null;
}

/**
 * @param {Sample | null} s @param {Parts} parts @param {string} unit @param {string} mode
 *   live: it moves; delayed: it stands; stale: grey; offline and never: values are unknown
 */
export function flowPicture(s, parts, unit, mode) {
  const shown = mode === "offline" || mode === "never" ? null : s;
  const has = /** @type {Record<string, boolean>} */ ({ grid: parts.grid, home: parts.load, battery: parts.battery });
  const edges = EDGES.filter((e) => e.needs.split(" ").every((n) => has[n]));
  const active = (/** @type {string} */ flow) => {
    const w = shown && shown.flows ? shown.flows[flow] : null;
    return known(w) && w >= DEAD_BAND_W;
  };
  const soc = shown && known(shown.soc_pct) ? Math.min(100, Math.max(0, shown.soc_pct)) / 100 : 0;
  const height = parts.battery ? 464 : parts.grid || parts.load ? 306 : 130;
  return html`<svg class="flow ${mode}" viewBox="0 0 400 ${height}" role="img" aria-label=${flowSentence(shown, parts, unit)}>
    ${edges.map((e) => svg`<path class="edge" d=${e.path}></path>`)}
    ${edges.filter((e) => active(e.flow)).map((e) => svg`<g class="stream ${e.color}" data-flow=${e.flow}>
      <path d=${e.path}></path>
      <path class="arrow" d="M-9-7 5 0-9 7Z" transform="translate(${e.arrow[0]} ${e.arrow[1]}) rotate(${e.arrow[2]})"></path></g>`)}
    ${flowNodes(shown, parts, unit).map((n) => svg`<g class="node ${n.id} ${n.cls}" transform="translate(${n.x} ${n.y})">
      <circle r="52"></circle>
      ${n.id === "battery" && soc > 0 ? svg`<path class="soc" d=${arc(soc)}></path>` : nothing}
      <path class="sign" d=${iconPath(/** @type {any} */ (n.icon))} transform="translate(-12 -40)"></path>
      <text class="value" y="12"><tspan>${n.value.text}</tspan><tspan class="unit" dx="4">${n.value.unit}</tspan></text>
      <text class="name" y="31">${n.name}</text>
      ${n.caption ? svg`<text class="caption" y="75">${n.caption}</text>` : nothing}</g>`)}
  </svg>`;
}

/** Part of the ring, from the top, clockwise. @param {number} share */
function arc(share) {
  if (share >= 0.9999) return "M0-52A52 52 0 1 1-.01-52";
  const angle = share * 2 * Math.PI;
  const x = (52 * Math.sin(angle)).toFixed(2);
  const y = (-52 * Math.cos(angle)).toFixed(2);
  return `M0-52A52 52 0 ${share > 0.5 ? 1 : 0} 1 ${x} ${y}`;
}
