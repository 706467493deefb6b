// Where periods of the calendar begin and end, and which of their days is the best. Pure.
import { t } from "./i18n.js";
import { known } from "./format.js";
import { greatest, periodText, sentence } from "./words.js";

/** The last date of a month or year. @param {string} period */
export function lastDay(period) {
  const [y, m, d] = period.split("-").map(Number);
  if (d) return period;
  return m ? new Date(Date.UTC(y, m, 0)).toISOString().slice(0, 10) : `${period}-12-31`;
}

/** The first date of a month or year. @param {string} period */
export function firstDay(period) {
  return period.length === 4 ? `${period}-01-01` : period.length === 7 ? `${period}-01` : period;
}

/** Day of the week, Monday 0. @param {string} date */
export function weekday(date) {
  const [y, m, d] = date.split("-").map(Number);
  return (new Date(Date.UTC(y, m - 1, d)).getUTCDay() + 6) % 7;
}

/** @param {string} from a date @param {string} to */
export function daysBetween(from, to) {
  return Math.round((Date.parse(to) - Date.parse(from)) / 864e5);
}

/** The best of a list and the least. @param {string} title @param {string[]} labels @param {any[]} list @param {(v: any) => string} text */
export function bestSentence(title, labels, list, text) {
  const say = (/** @type {string} */ key, /** @type {number} */ i) => (i < 0 ? [] : [t(key, { day: periodText(labels[i], "short"), energy: text(list[i]) })]);
  return sentence(title, [...say("say_best", greatest(list)), ...say("say_least", greatest(list.map((v) => (known(v) ? -v : null))))]);
}
