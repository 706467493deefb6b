// Calendar dates of the device, as text: 2026-11-23, 2026-11 or 2026. The zone of the browser is never used.

/** What answers had of a zone: from which instant to which, and its offsets then. @type {Map<string, { from: number, to: number, offsets: number[][] }>} */
const zones = new Map();
/** @type {Map<string, Intl.DateTimeFormat | null>} */
const calendars = new Map();

/**
 * Notes the offsets of an answer's zone. The first use of Intl takes a slow phone 60 ms, in which it could draw what it knows.
 * @param {any} a answer of /v1/series
 */
export function noteZone(a) {
  const [from, to] = [a && a.from, a && a.to].map((text) => Date.parse(text || "") / 1000);
  const offsets = (a && a.tz && a.tz.offsets) || [];
  const right = Array.isArray(offsets) && offsets.length && offsets.every((o) => Array.isArray(o) && Number.isFinite(o[0]) && Math.abs(o[1]) < 86400);
  if (right && from < to) zones.set(String(a.tz.name), { from, to, offsets });
}

/** How far the clocks of a zone are ahead of UTC at an instant, s; null if no answer had it. @param {number} s @param {string} zone */
export function aheadOf(s, zone) {
  if (zone === "UTC") return 0;
  const z = zones.get(zone);
  return z && s >= z.from && s < z.to ? offsetAt(z.offsets, s) : null;
}

/** The local date of an instant in a zone. @param {number} s since 1970 @param {string} zone */
export function localDate(s, zone) {
  const ahead = aheadOf(s, zone);
  if (ahead !== null) return new Date((s + ahead) * 1000).toISOString().slice(0, 10);
  let calendar = calendars.get(zone);
  if (calendar === undefined) {
    try {
      calendar = new Intl.DateTimeFormat("en", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: zone });
    } catch {
      calendar = null;
    }
    calendars.set(zone, calendar);
  }
  if (!calendar) return new Date(s * 1000).toISOString().slice(0, 10);
  // By its parts: in which order a locale has them differs between browsers.
  const parts = Object.fromEntries(calendar.formatToParts(s * 1000).map((p) => [p.type, p.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

/** @param {string} date @param {number} n days */
export function addDays(date, n) {
  const [y, m, d] = date.split("-").map(Number);
  return new Date(Date.UTC(y, m - 1, d + n)).toISOString().slice(0, 10);
}

/** Moves a date, a month or a year by n of its own length. @param {string} date @param {number} n */
export function addPeriod(date, n) {
  const [y, m, d] = date.split("-").map(Number);
  if (d) return addDays(date, n);
  if (m) return new Date(Date.UTC(y, m - 1 + n, 1)).toISOString().slice(0, 7);
  return String(y + n);
}

/** Reports whether text is a real calendar date, month or year. @param {string} text */
export function isDate(text) {
  const found = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$/.exec(text);
  if (!found) return false;
  const [y, m, d] = [Number(found[1]), Number(found[2] || 1), Number(found[3] || 1)];
  const t = new Date(Date.UTC(y, m - 1, d));
  return y >= 2010 && t.getUTCMonth() === m - 1 && t.getUTCDate() === d;
}

/**
 * How far the clocks of a zone are ahead of UTC at an instant, from an answer's list of [from, seconds].
 * @param {number[][] | undefined} offsets @param {number} s
 */
export function offsetAt(offsets, s) {
  let ahead = 0;
  for (const [i, pair] of (Array.isArray(offsets) ? offsets : []).entries()) {
    if (Array.isArray(pair) && Number.isFinite(pair[1]) && (i === 0 || pair[0] <= s)) ahead = pair[1];
  }
  return ahead;
}

/**
 * The full local hours of a span that are multiples of `every`, as [instant, hour]. A day of 25 hours has one hour twice.
 * @param {number} start @param {number} end @param {number[][] | undefined} offsets @param {number} every
 * @returns {Array<[number, number]>}
 */
export function hourTicks(start, end, offsets, every) {
  /** @type {Array<[number, number]>} */
  const ticks = [];
  for (let s = start; s < end; s += 1800) {
    const local = s + offsetAt(offsets, s);
    const hour = Math.floor((((local % 86400) + 86400) % 86400) / 3600);
    if (local % 3600 === 0 && hour % every === 0 && (!ticks.length || ticks[ticks.length - 1][1] !== hour)) ticks.push([s, hour]);
  }
  ticks.push([end, 24]);
  return ticks;
}
