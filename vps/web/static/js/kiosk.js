// A display on the wall: no navigation, a clock, views in turn, dark at night, and nobody who would reload it.
import { state, changed, newestSample, deviceZone, serverNow, link, VIEWS } from "./store.js";
import { loadAgain } from "./later.js";

/**
 * What the address asks for: ?kiosk=1&views=now,day&every=30&night=22-6. Pure.
 * @param {URLSearchParams} query
 */
export function kioskOptions(query) {
  const views = (query.get("views") || "now").split(",").filter((v) => VIEWS.includes(v));
  const night = /^(\d{1,2})-(\d{1,2})$/.exec(query.get("night") || "");
  return { views: views.length ? views : ["now"], every: Math.max(5, Number(query.get("every")) || 30),
    night: night ? [Number(night[1]) % 24, Number(night[2]) % 24] : null };
}

/** Reports whether an hour is in a window that may cross midnight. Pure. @param {number} hour @param {number[] | null} night */
export function inNight(hour, night) {
  if (!night) return false;
  const [from, to] = night;
  return from <= to ? hour >= from && hour < to : hour >= from || hour < to;
}

function hourThere() {
  return Number(new Intl.DateTimeFormat("en-GB", { hour: "2-digit", hourCycle: "h23", timeZone: deviceZone() }).format(serverNow() * 1000));
}

/** @param {ReturnType<typeof kioskOptions>} o */
export function startKiosk(o) {
  let turn = 0;
  let moved = 0;
  const began = Date.now();
  if (state.kiosk && !location.hash) location.replace(link(o.views[0]));
  setInterval(() => {
    if (!state.kiosk) return;
    const now = Date.now();
    const s = newestSample();
    const hour = hourThere();
    const dark = inNight(hour, o.night) || Boolean(s && s.pv_w !== null && s.pv_w <= 0 && (hour >= 21 || hour < 5));
    document.body.classList.toggle("dimmed", dark);
    if ((hour === 4 && now - began > 3600000) || (state.device && now - Math.max(state.heard, began) > 300000)) void loadAgain();
  }, 5000);
  setInterval(() => {
    if (!state.kiosk || o.views.length < 2) return;
    turn = (turn + 1) % o.views.length;
    location.replace(link(o.views[turn]));
  }, o.every * 1000);
  // The picture moves a little, so that it does not burn in.
  setInterval(() => {
    if (!state.kiosk) return;
    moved = (moved + 1) % 4;
    document.body.style.transform = moved ? `translate(${moved % 2 ? moved : 0}px, ${moved > 1 ? moved - 1 : 0}px)` : "";
    changed();
  }, 300000);
}
