// Answers of the API in every state that the page shows. Each changes what a real server answers.

const iso = (s) => new Date(s * 1000).toISOString();
const now = () => Date.now() / 1000;

/** Events as the stream sends them. */
export function events(list) {
  return `retry: 3000\n${list.map(([event, data, id]) => `${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join("")}`;
}

export const flowsOf = (s) => {
  const sh = Math.min(s.pv_w, s.load_w);
  const charge = Math.max(s.battery_w, 0);
  const discharge = Math.max(-s.battery_w, 0);
  const sb = Math.min(s.pv_w - sh, charge);
  const out = Math.max(-s.grid_w, 0);
  const into = Math.max(s.grid_w, 0);
  const sg = Math.min(s.pv_w - sh - sb, out);
  const bh = Math.min(discharge, s.load_w - sh);
  const bg = Math.min(discharge - bh, out - sg);
  const gh = Math.min(into, s.load_w - sh - bh);
  return { solar_home: sh, solar_battery: sb, solar_grid: sg, battery_home: bh, battery_grid: bg, grid_home: gh,
    grid_battery: Math.min(into - gh, charge - sb), unaccounted: s.pv_w + discharge + into - s.load_w - charge - out };
};

/** A device whose newest sample is `age` seconds old. */
function aged(age, state, sample = {}, device = {}) {
  const s = { pv_w: 4210, load_w: 730, battery_w: 1480, grid_w: -2000, soc_pct: 62.4, ...sample };
  const t = () => Math.round(now() - age);
  return {
    "/v1/devices": (j) => {
      Object.assign(j.devices[0], { last_sample: iso(t()), age_s: age, state }, device);
      return j;
    },
    "/v1/realtime": (j) => ({ ...j, ts: iso(t()), age_s: age, state, pv_power_w: s.pv_w, load_power_w: s.load_w, battery_power_w: s.battery_w, grid_power_w: s.grid_w,
      export_power_w: -s.grid_w, battery_soc_pct: s.soc_pct, flows: flowsOf(s) }),
    "/v1/stream": () => events([["hello", { build: "", time: iso(now()), device: { id: "demo" }, backfill_s: 600 }],
      ["sample", { t: t(), ...s, flows: flowsOf(s) }, String(t() * 1000)], ["state", { state, since: iso(t()) }]]),
  };
}

const chain = (inverter, edge, more = {}) => [{ hop: "inverter", state: inverter, ...(inverter === "down" ? more : {}) },
  { hop: "edge", state: edge, ...(edge === "down" ? more : {}), spool: more.spool || 0, quarantined: 0, clock_skew_s: more.skew }, { hop: "server", state: "ok" }];

const without = (names, j) => {
  for (const set of [j.columns, j.totals, j]) if (set) for (const n of names) {
    if (Array.isArray(set[n])) set[n] = set[n].map(() => null);
    else if (n in set) set[n] = null;
  }
  return j;
};

export const SCENARIOS = {
  live: () => aged(3, "live"),
  ahead: () => aged(-40, "live", {}, { chain: chain("ok", "ok") }),
  skewed: (s = 200) => aged(3, "live", {}, { chain: chain("ok", "ok", { skew: s }) }),
  delayed: () => aged(40, "delayed"),
  stale: () => aged(200, "stale", {}, { chain: chain("down", "ok", { since: iso(now() - 200) }) }),
  offline: () => aged(4000, "offline", {}, { chain: chain("unknown", "down", { since: iso(now() - 4000) }) }),
  asleep: () => {
    const a = aged(7 * 3600, "asleep", { pv_w: 4, battery_w: null, load_w: 300, grid_w: 300, soc_pct: null }, { chain: chain("asleep", "ok"), capabilities: { battery: false, grid: true, load: true, counters: true } });
    return a;
  },
  importing: () => aged(2, "live", { pv_w: 0, load_w: 3400, battery_w: -1200, grid_w: 2200, soc_pct: 18 }),
  night: () => aged(2, "live", { pv_w: 0, load_w: 180, battery_w: 2500, grid_w: 2680, soc_pct: 55 }),
  unaccounted: () => aged(2, "live", { pv_w: 3000, load_w: 900, battery_w: 1000, grid_w: -800 }),
  backlog: () => aged(11400, "offline", {}, { chain: chain("ok", "ok", { spool: 2280 }) }),
  never: () => ({ "/v1/devices": (j) => ({ ...j, devices: [] }), "/v1/stream": () => ({ status: 404 }) }),
  unheard: () => ({ "/v1/devices": (j) => {
    Object.assign(j.devices[0], { first_sample: null, last_sample: null, age_s: null, state: "never", capabilities: null, chain: chain("unknown", "unknown") });
    return j;
  }, "/v1/realtime": () => ({ status: 404, body: { detail: "No data found for device_id 'demo'.", code: "no_data" } }),
  "/v1/stream": () => events([["hello", { build: "", time: iso(now()), device: { id: "demo" }, backfill_s: 600 }], ["state", { state: "never", since: null }]]) }),
  "store-away": () => ({ "*": () => ({ status: 503, body: { detail: "Storage is unavailable.", code: "store_unavailable" } }), "/v1/stream": () => ({ status: 503 }),
    "/v1/session": (j) => j }),
  collecting: () => ({ ...aged(3, "live"), "/v1/devices": (j) => {
    Object.assign(j.devices[0], { first_sample: iso(now() - 1500), last_sample: iso(now() - 3), age_s: 3, state: "live" });
    return j;
  } }),
  gap: () => ({ ...aged(3, "live"), "/v1/series": (j) => {
    const from = 60;
    for (const c of Object.values(j.columns)) for (let i = from; i < from + 14; i++) c[i] = null;
    j.gaps = [{ from: j.start + from * 300 - 5, to: j.start + (from + 14) * 300 + 5, reason: "not_received" }];
    return j;
  }, "/v1/energy": (j) => {
    for (const n of ["coverage", "load_coverage", "grid_coverage"]) {
      j.columns[n] = j.columns[n].map(() => 0.951);
      j.totals[n] = 0.951;
    }
    return j;
  } }),
  "no-battery": () => ({ ...aged(3, "live", { battery_w: null, soc_pct: null, pv_w: 2600, load_w: 500, grid_w: -2100 }, { capabilities: { battery: false, grid: true, load: true, counters: true } }),
    "/v1/energy": (j) => without(["charge_kwh", "discharge_kwh", "battery_home_kwh", "solar_battery_kwh"], j), "/v1/series": (j) => without(["battery_w", "soc_pct", "battery_home_w"], j) }),
  "no-meter": () => ({ ...aged(3, "live", { battery_w: null, soc_pct: null, load_w: null, grid_w: null, pv_w: 2600 }, { capabilities: { battery: false, grid: false, load: false, counters: true } }),
    "/v1/energy": (j) => without(Object.keys(j.columns).filter((n) => !/^(pv|coverage)/.test(n)), j), "/v1/series": (j) => without(Object.keys(j.columns).filter((n) => !n.startsWith("pv")), j) }),
  "widget-error": () => ({ ...aged(3, "live"), "/v1/energy": () => ({ status: 503, body: { detail: "too many requests at once", code: "busy" } }) }),
  "lost-server": () => ({ ...aged(12, "live"), "/v1/stream": () => undefined, "/v1/realtime": () => undefined }),
  fleet: (count = 300, one = null) => ({ ...aged(3, "live"), "/v1/devices": (j, url) => {
    one = one || j.devices[0];
    j.devices = Array.from({ length: count }, (_, i) => {
      const id = i ? `roof-${String(i).padStart(3, "0")}` : one.id;
      const bad = i % 37 === 36 ? "offline" : i % 53 === 52 ? "stale" : i % 71 === 70 ? "never" : i % 29 === 28 ? "delayed" : "live";
      const age = { offline: 8000 + i, stale: 300, never: null, delayed: 40, live: 3 }[bad];
      return { ...one, id, state: bad, age_s: age, last_sample: age === null ? null : iso(now() - age), chain: bad === "offline" ? chain("unknown", "down", { since: iso(now() - 8000) })
        : bad === "stale" ? chain("down", "ok", { since: iso(now() - 300) }) : one.chain, ...(url.searchParams.get("today") && age !== null ? { today: { date: "2026-06-21", tz: "UTC", pv_kwh: i + 0.5 } } : {}) };
    });
    // As the server does it: some at a time.
    const from = j.devices.findIndex((d) => d.id === url.searchParams.get("after")) + 1;
    const limit = Number(url.searchParams.get("limit")) || 200;
    j.next_after = from + limit < count ? j.devices[from + limit - 1].id : null;
    j.devices = j.devices.slice(from, from + limit);
    return j;
  } }),
  tariff: () => ({ ...aged(3, "live", {}, { tariff: { capacity: "be", currency: "EUR" } }), "/v1/energy": (j) => {
    j.columns.saved = j.columns.pv_kwh.map((v) => (v || 0) * 0.21);
    j.totals.saved = (j.totals.pv_kwh || 0) * 0.21;
    j.columns.cost = j.columns.import_kwh.map((v) => (v || 0) * 0.32);
    j.totals.cost = (j.totals.import_kwh || 0) * 0.32;
    return j;
  } }),
};
