// Numbers and times as people read them. What is not known is "–", never 0 and never NaN.
import { aheadOf } from "./dates.js";

export const NBSP = "\u00a0";
export const UNKNOWN = "–";

/** Below this many watts a flow is measurement noise. */
export const DEAD_BAND_W = 25;

/** en is written as in Britain: 24 h, day before month. @type {Map<string, string>} */
const LOCALES = new Map([["en", "en-GB"], ["de", "de-DE"], ["nl", "nl-BE"], ["fr", "fr-BE"]]);
/** What these have between thousands, before decimals, and around an amount in euro: as Intl has it, whose first use takes a slow phone 60 ms. @type {Map<string | undefined, string[]>} */
const WRITTEN = new Map([["de-DE", [".", ",", "-%\u00a0€"]], ["nl-BE", [".", ",", "€\u00a0-%"]], ["fr-BE", ["\u202f", ",", "-%\u00a0€"]]]);
const BRITISH = [",", ".", "-€%"];
let written = BRITISH;
/** @type {string | undefined} */
let locale = "en-GB";
/** @type {Map<string, Intl.NumberFormat | Intl.DateTimeFormat>} */
const formatters = new Map();

/** The first of some names of languages that is one of ours, as we name it: "de" of "de_AT.UTF-8"; "" for "c". @param {unknown[]} names */
export function languageOf(...names) {
  for (const name of names) {
    const [primary] = String(name).toLowerCase().split(/[-_.@]/);
    if (LOCALES.has(primary)) return primary;
  }
  return "";
}

/** The first of some locales that Intl takes; undefined, which is its own choice, if it takes none. @param {Array<string | undefined>} names */
export function localeOf(...names) {
  for (const name of names) {
    try {
      if (name && new Intl.NumberFormat(name)) return name;
    } catch {
      // It is the name of none, as "c" and "en-US@posix" are, which some systems have.
    }
  }
  return undefined;
}

/** @param {string} lang */
export function setLocale(lang) {
  // Intl takes ours; it is not asked, see above.
  locale = LOCALES.get(languageOf(lang)) || localeOf(lang, LOCALES.get("en"));
  written = WRITTEN.get(locale) || BRITISH;
  formatters.clear();
}

/** Reports whether v is a number that can be shown. @param {unknown} v @returns {v is number} */
export function known(v) {
  return typeof v === "number" && Number.isFinite(v);
}

/** Reports whether s is an instant that has a date. @param {unknown} s since 1970 @returns {s is number} */
export function isInstant(s) {
  return known(s) && Math.abs(s) < 8.64e12;
}

/** A number without its sign. @param {number} size @param {number} digits */
function digitsOf(size, digits) {
  if (size >= 1e15) return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(size);
  // Rounded as it is written: 1.005 is 1.01, although its double is a little less.
  const rounded = size < 1e-6 ? 0 : Math.round(Number(`${size}e${digits}`)) / 10 ** digits;
  const [whole, rest] = rounded.toFixed(digits).split(".");
  const [thousands, point] = written;
  const grouped = whole.length > 3 ? whole.replace(/\B(?=(\d{3})+$)/g, thousands) : whole;
  return rest ? grouped + point + rest : grouped;
}

/** @param {number} v @param {number} digits */
export function decimal(v, digits) {
  const text = digitsOf(Math.abs(v), digits);
  return v < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** A number at an axis: without its sign, with as few digits as it has. @param {number} v */
export function tick(v) {
  const size = Math.abs(v);
  return decimal(size, size % 1 < 0.001 ? 0 : (size * 10) % 1 < 0.01 ? 1 : 2);
}

/**
 * @typedef {{ text: string, unit: string }} Shown
 * @param {Shown} shown
 */
export function withUnit(shown) {
  return shown.unit ? shown.text + NBSP + shown.unit : shown.text;
}

/**
 * A power in the unit of its group. Direction is given in words, so the sign is dropped unless signed.
 * @param {number | null | undefined} w @param {string} unit "W" or "kW" @param {boolean} [signed] @returns {Shown}
 */
export function power(w, unit, signed) {
  if (!known(w)) return { text: UNKNOWN, unit: "" };
  const v = signed ? w : Math.abs(w);
  if (Math.abs(v) < DEAD_BAND_W && !signed) return { text: decimal(0, 0), unit: "W" };
  if (unit !== "kW") return { text: decimal(Math.round(v), 0), unit: "W" };
  const kw = v / 1000;
  return { text: decimal(kw, Math.abs(kw) < 9.995 ? 2 : 1), unit: "kW" };
}

/**
 * One unit for all values of a group: kW from 1,000 W, back to W only after 30 s below 900 W, so that it does not flicker.
 * @param {{ unit: string, low: number }} was @param {Array<number | null | undefined>} values
 * @param {number} now ms @param {string} [mode] auto, W or kW
 */
export function groupUnit(was, values, now, mode) {
  if (mode === "W" || mode === "kW") return { unit: mode, low: 0 };
  const top = Math.max(0, ...values.map((v) => (known(v) ? Math.abs(v) : 0)));
  if (top >= 1000) return { unit: "kW", low: 0 };
  if (was.unit !== "kW") return { unit: "W", low: 0 };
  if (top >= 900) return { unit: "kW", low: 0 };
  const low = was.low || now;
  return now - low >= 30000 ? { unit: "W", low: 0 } : { unit: "kW", low };
}

/** @param {number | null | undefined} kwh @returns {Shown} */
export function energy(kwh) {
  if (!known(kwh)) return { text: UNKNOWN, unit: "" };
  const size = Math.abs(kwh);
  if (size < 9.995) return { text: decimal(kwh, 2), unit: "kWh" };
  if (size < 999.95) return { text: decimal(kwh, 1), unit: "kWh" };
  if (size < 9999.5) return { text: decimal(kwh, 0), unit: "kWh" };
  return { text: decimal(kwh / 1000, 2), unit: "MWh" };
}

/** A share in %: "< 1" for a little, 100 only if it is. @param {number | null | undefined} v @returns {Shown} */
export function percent(v) {
  if (!known(v)) return { text: UNKNOWN, unit: "" };
  if (v > 0 && v < 1) return { text: `<${NBSP}1`, unit: "%" };
  const whole = v >= 99.95 ? Math.round(v) : Math.min(99, Math.round(v));
  return { text: decimal(whole, 0), unit: "%" };
}

/** @param {number | null | undefined} w @param {string} unit @param {boolean} [signed] */
export function powerText(w, unit, signed) {
  return withUnit(power(w, unit, signed));
}

/** @param {number | null | undefined} kwh */
export function energyText(kwh) {
  return withUnit(energy(kwh));
}

/** @param {number | null | undefined} v */
export function percentText(v) {
  return withUnit(percent(v));
}

/** @param {number | null | undefined} v @param {number} digits @param {string} unit @returns {Shown} */
export function quantity(v, digits, unit) {
  return known(v) ? { text: decimal(v, digits), unit } : { text: UNKNOWN, unit: "" };
}

/** @param {number | null | undefined} v @param {string} currency */
export function money(v, currency) {
  if (!known(v)) return UNKNOWN;
  const sign = (/** @type {string} */ text) => (v < 0 && /[1-9]/.test(text) ? "−" : "");
  if (currency === "EUR") {
    const text = written[2].replace("%", digitsOf(Math.abs(v), 2));
    return text.replace("-", sign(text));
  }
  try {
    const text = new Intl.NumberFormat(locale, { style: "currency", currency }).format(-Math.abs(v));
    return text.replace("-", sign(text));
  } catch {
    // Nothing that Intl knows as a currency.
    return decimal(v, 2) + (typeof currency === "string" && currency ? NBSP + currency : "");
  }
}

/**
 * @param {string} name @param {string} zone @param {Intl.DateTimeFormatOptions} options
 * @returns {Intl.DateTimeFormat}
 */
function dateFormat(name, zone, options) {
  const key = name + zone;
  let f = /** @type {Intl.DateTimeFormat | undefined} */ (formatters.get(key));
  if (!f) {
    try {
      f = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
    } catch {
      f = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
    }
    formatters.set(key, f);
  }
  return f;
}

/** Time of day of an instant in a zone: 14:32. @param {number | null | undefined} s since 1970 @param {string} zone */
export function clock(s, zone) {
  if (!isInstant(s)) return UNKNOWN;
  const ahead = aheadOf(s, zone);
  if (ahead !== null) return new Date((s + ahead) * 1000).toISOString().slice(11, 16);
  return dateFormat("hm", zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(s * 1000);
}

/** Date and time of an instant: 23 Nov, 14:32; with its year if asked. @param {number | null | undefined} s @param {string} zone @param {boolean} [year] */
export function moment(s, zone, year) {
  if (!isInstant(s)) return UNKNOWN;
  /** @type {Intl.DateTimeFormatOptions} */
  const o = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(year ? { year: "numeric" } : {}) };
  return dateFormat(year ? "moy" : "mo", zone, o).format(s * 1000);
}

/** Time with seconds. @param {number} s @param {string} zone */
export function clockSeconds(s, zone) {
  const o = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return isInstant(s) ? dateFormat("hms", zone, o).format(s * 1000) : UNKNOWN;
}

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const DATE_STYLES = {
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  long: { weekday: "long", day: "numeric", month: "long" },
  short: { day: "numeric", month: "short" },
  full: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "long", year: "numeric" },
  monthShort: { month: "short" },
  monthYear: { month: "short", year: "2-digit" },
  weekday: { weekday: "short" },
};

/**
 * A calendar date (2026, 2026-11 or 2026-11-23) in words. A date is no instant: no zone can move it.
 * @param {string} date @param {string} style
 */
export function dateText(date, style) {
  const [y, m, d] = date.split("-").map(Number);
  if (!m) return date || UNKNOWN;
  return dateFormat(style, "UTC", DATE_STYLES[style]).format(Date.UTC(y, m - 1, d || 1));
}
