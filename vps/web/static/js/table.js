// The twin of a chart: the same numbers as a table, which is also what is printed, and as a file. Pure, but for the button.
import { html, icon, download } from "./dom.js";
import { t } from "./i18n.js";
import { known, clock, UNKNOWN } from "./format.js";
import { localDate } from "./dates.js";
import { deviceZone } from "./store.js";

/**
 * @typedef {{ name: string, unit: string, text?: (v: any, row: number) => string, head?: string }} Field a column: its unit in the
 *   file, how a value is read on the screen, and its name there; without text, which only the last are, it is in the file alone
 * @typedef {{ label: string, at?: number, local?: string, v: any[] }} Row at: when it begins; local: that, by the device's clocks
 * @typedef {{ file: string, first?: string, fields: Field[], rows: Row[] }} Table
 */

/** @param {Table} table @param {string} title */
export function tableOf(table, title) {
  const shown = table.fields.filter((f) => f.text);
  return html`<div class="table" tabindex="0" role="group" aria-label=${title}><table>
    <thead><tr><th scope="col">${table.first || t("time")}</th>${shown.map((f) => html`<th scope="col">${f.head || f.name}</th>`)}</tr></thead>
    <tbody>${table.rows.map((r, i) => html`<tr><th scope="row">${r.label}</th>${shown.map((f, n) => html`<td>${f.text && f.text(r.v[n], i)}</td>`)}</tr>`)}</tbody>
  </table></div>${csvButton(() => table)}`;
}

/** @param {() => Table} make */
export function csvButton(make) {
  return html`<button class="quiet-button" @click=${() => {
    const table = make();
    download(`${table.file}.csv`, new Blob([csv(table, deviceZone(), document.documentElement.lang)], { type: "text/csv" }));
  }}>${icon("save")} CSV</button>`;
}

/** Units are in the header, numbers have a decimal point; what separates cells is what the language's spreadsheets expect. @param {Table} table @param {string} zone of its times @param {string} lang */
export function csv(table, zone, lang) {
  const timed = table.rows.some((r) => known(r.at));
  const quoted = (/** @type {any} */ v) => `"${String(v).replace(/"/g, '""')}"`;
  const head = [...(timed ? [`${t("time")} (${zone})`, "UTC"] : [table.first || t("time")]), ...table.fields.map((f) => (f.unit ? `${f.name} (${f.unit})` : f.name))];
  const rows = table.rows.map((r) => [...(timed ? [quoted(r.local || stamp(r.at, zone)), known(r.at) ? new Date(r.at * 1000).toISOString().slice(0, 19) + "Z" : ""] : [quoted(r.label)]),
    ...r.v.map((v) => (known(v) ? v : typeof v === "string" ? quoted(v) : ""))]);
  return `\ufeff${[head.map(quoted), ...rows].map((r) => r.join(lang === "en" ? "," : ";")).join("\r\n")}\r\n`;
}

/** @param {number | undefined} s @param {string} zone */
function stamp(s, zone) {
  return known(s) ? `${localDate(s, zone)} ${clock(s, zone)}` : UNKNOWN;
}
