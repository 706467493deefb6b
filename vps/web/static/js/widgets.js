// What all views are made of: cards, answers with their errors, numbers, legends, tables.
import { html, nothing, icon, attempt } from "./dom.js";
import { t } from "./i18n.js";
import { state, changed } from "./store.js";
import { refresh } from "./api.js";
import { UNKNOWN, known } from "./format.js";
import { tableOf } from "./table.js";

/** @typedef {{ unit?: string, table?: (() => import("./table.js").Table) | null, extra?: any, cls?: string }} CardOptions table: made when it is shown or printed; null without rows */

/** @param {string} id @param {string} title @param {any} body @param {CardOptions} [o] */
export function card(id, title, body, o = {}) {
  return html`<section class="card ${o.cls || ""}" id=${id} aria-labelledby="${id}-title">
    <div class="card-head"><h2 id="${id}-title">${title}${o.unit ? html` <small>${o.unit}</small>` : nothing}</h2>${o.extra || nothing}
      ${twinButton(id, title, o.table)}</div>${twin(id, title, body, o.table)}
  </section>`;
}

/** @param {string} id @param {string} title @param {CardOptions["table"]} table */
export function twinButton(id, title, table) {
  return table ? html`<button class="quiet" aria-pressed=${state.tables.has(id) ? "true" : "false"} title=${t("show_table")} aria-label="${t("show_table")}: ${title}"
    @click=${() => flip(id)}>${icon("table")}</button>` : nothing;
}

/** The body, or the table that says the same; what is printed has both. @param {string} id @param {string} title @param {any} body @param {CardOptions["table"]} table */
export function twin(id, title, body, table) {
  if (!table) return body;
  if (state.tables.has(id)) return tableOf(table(), title);
  return html`${body}${state.printing ? html`<div class="for-print">${tableOf(table(), title)}</div>` : nothing}`;
}

/** The table of an answer of /v1/energy, if it has rows. @param {import("./api.js").Answer} a @param {(data: any) => import("./table.js").Table} make @returns {CardOptions["table"]} */
export function tableFor(a, make) {
  return a.data && (a.data.labels || []).length ? () => make(a.data) : null;
}

/** @param {string} id */
function flip(id) {
  if (!state.tables.delete(id)) state.tables.add(id);
  changed();
}

/** What more.js adds to answers. @type {{ note: (a: any, cls?: string) => any }} */
export const added = { note: () => nothing };

/**
 * The body of a widget: from its answer if there is one, else why there is none. What is old stays, with a note.
 * @param {import("./api.js").Answer} a @param {(data: any) => any} draw @param {string} [cls] of the place that is kept while it loads
 */
export function whenKnown(a, draw, cls = "") {
  const problem = a.error ? html`<p class="problem">${icon("warn")} ${problemText(a.error)}
    <button @click=${() => void refresh(a)}>${t("retry")}</button></p>` : nothing;
  if (!a.data) return a.error ? html`<div class="hollow ${cls}">${problem}</div>` : html`<div class="hollow ${cls}" aria-busy="true">${UNKNOWN}</div>`;
  return attempt(() => html`${problem}${draw(a.data)}${added.note(a.data, cls)}`, () => html`<div class="hollow ${cls}">${broken()}</div>`);
}

/** In place of what cannot be drawn. */
export function broken() {
  return html`<p class="problem">${icon("warn")} ${t("error_draw")}</p>`;
}

/** @param {import("./api.js").ApiError} e */
export function problemText(e) {
  if (e.status === 0) return t("error_unreachable");
  if (e.code === "store_unavailable") return t("error_store");
  if (e.code === "not_admin") return t("admin_only");
  if (e.status === 403) return t("error_forbidden");
  if (e.status === 404) return t("error_no_data");
  if (e.status === 429 || e.status === 503) return t("error_busy");
  return e.message || t("error_server", { status: e.status });
}

/** A number in large. @param {string} label @param {import("./format.js").Shown} value @param {string} tone @param {any} [note] @param {string} [prefix] */
export function kpi(label, value, tone, note, prefix) {
  const unknown = value.text === UNKNOWN;
  return html`<div class="kpi ${tone}"><dt>${label}</dt>
    <dd><span aria-hidden=${unknown ? "true" : "false"}><b>${prefix || ""}${value.text}</b>${value.unit ? html` <i>${value.unit}</i>` : nothing}</span>
    ${unknown ? html`<span class="unseen">${t("unknown")}</span>` : nothing}
    ${note ? html`<small>${note}</small>` : nothing}</dd></div>`;
}

/** @param {string[][]} items tone and text */
export function legend(items) {
  return html`<ul class="legend">${items.map(([tone, text]) => html`<li class="key ${tone}">${text}</li>`)}</ul>`;
}

/** A chart with its sentence. Bars without a value are words; a day has its times and its gaps without one. @param {import("./plot.js").Plot} plot @param {() => string} says @param {string} [cls] */
export function figure(plot, says, cls) {
  if (!plot.group && !plot.data.slice(1).some((c) => c.some(known))) return html`<div class="hollow bars">${t("chart_empty")}</div>`;
  return html`<sun-plot class=${cls || ""} role="img" .plot=${{ ...plot, says }}></sun-plot>`;
}

/**
 * Cards in one column, or, where there is room: full, then left and right, then foot.
 * @param {Array<[string, () => any]>} cards @param {number} [first] how many of them a display on the wall has room for
 */
export function columns(cards, first = 2) {
  const drawn = cards.filter((_, i) => i < first || !state.kiosk)
    .map(([at, make]) => [at, attempt(make, () => html`<section class="card">${broken()}</section>`)]).filter(([, c]) => c && c !== nothing);
  if (!state.wide) return html`<div class="column">${drawn.map(([, c]) => c)}</div>`;
  const side = (/** @type {string} */ s) => html`<div class="column">${drawn.filter(([at]) => at === s).map(([, c]) => c)}</div>`;
  const row = (/** @type {string} */ s) => (drawn.some(([at]) => at === s) ? side(s) : nothing);
  return html`${row("full")}<div class="pair">${side("left")}${side("right")}</div>${row("foot")}`;
}

/** Hides what is below a card that waits for its answer: it would move when the answer comes. A style with :has() costs a year 100 ms. @param {Element} main */
export function holdBack(main) {
  for (const e of main.querySelectorAll("[data-below]")) e.removeAttribute("data-below");
  for (const waits of main.querySelectorAll("[aria-busy=true]")) {
    for (let e = waits.closest(".card"); e && e !== main; e = e.parentElement) {
      const beside = e.parentElement && e.parentElement.className === "pair";
      for (let next = e.nextElementSibling; next && !beside; next = next.nextElementSibling) next.setAttribute("data-below", "");
    }
  }
}

/** Heights of the charts of a display that must not scroll, by view. @type {Record<string, number>} */
const heights = {};

/** The height of the chart of a view: on the wall, what everything else leaves. @param {number} normal */
export function chartHeight(normal) {
  return state.kiosk ? heights[state.route.view] || 160 : normal;
}

/** Pixels that a display has left below the last card of a column. @param {Element | null} last */
const spare = (last) => (last ? Math.floor(innerHeight - 16 - last.getBoundingClientRect().bottom) : 0);

/** Makes the pictures of a display as high as there is room: the flow by a limit, the chart, the last of its column, by drawing again. */
export function fitWall() {
  const flow = document.querySelector(".pair .flow");
  if (flow) document.body.style.setProperty("--flow", `${Math.max(260, flow.getBoundingClientRect().height + spare(document.querySelector(".pair .column > :last-child")))}px`);
  const box = document.querySelector("#curve, #bars");
  if (!box || !box.querySelector("sun-plot")) return;
  const was = chartHeight(0);
  const fits = Math.min(620, Math.max(90, was + spare(box)));
  if (Math.abs(fits - was) < 5) return;
  heights[state.route.view] = fits;
  changed();
}

/** Reports whether a wall display is high enough for more than the numbers and their chart. */
export function roomForStrip() {
  return !state.kiosk || innerHeight >= 700;
}
