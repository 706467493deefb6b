// Serves static/ as it is, module by module, with a page around it, and passes the API's paths on to a running server:
//
//	go run . demo                                   in one terminal
//	node vps/web/dev/serve.mjs [PORT] [SERVER]      in another, then http://127.0.0.1:8090
//
// The program itself joins the modules; this is for work on them.
import { createServer, request } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const port = Number(process.argv[2] || 8090);
const server = process.argv[3] || "http://127.0.0.1:8080";
const root = fileURLToPath(new URL("../static", import.meta.url));
const kinds = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
  + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html";

const ask = async (path) => (await fetch(server + path)).json();

async function page(lang) {
  const answers = {};
  const devices = (answers["/v1/devices"] = await ask("/v1/devices"));
  const first = devices.devices[0];
  if (first && first.last_sample) {
    const day = (n) => new Date(Date.parse(localDate(devices.server.time, first.time_zone)) + n * 864e5).toISOString().slice(0, 10);
    const id = encodeURIComponent(first.id);
    for (const q of [`/v1/realtime?device_id=${id}`, `/v1/energy?device_id=${id}&resolution=day&from=${day(-13)}&to=${day(0)}`,
      `/v1/series?device_id=${id}&from=${day(0)}&to=${day(0)}&resolution=5m`]) answers[q] = await ask(q);
  }
  const words = JSON.parse(await readFile(join(root, `i18n/${lang}.json`), "utf8"));
  const boot = { build: "dev", lang, assets: "", session: { role: "viewer", open: true }, words, answers };
  return `<!doctype html><html lang="${lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<title>sunspool</title><link rel="icon" href="icons/icon.svg"><link rel="stylesheet" href="vendor/uPlot.min.css"><link rel="stylesheet" href="css/10-base.css"><link rel="stylesheet" href="css/20-widgets.css">
<link rel="stylesheet" href="css/30-views.css"><link rel="modulepreload" href="vendor/uPlot.iife.min.js"><script type="module" src="js/app.js"></script></head>
<body><div id="app"></div><script type="application/json" id="boot">${JSON.stringify(boot).replace(/</g, "\\u003c")}</script></body></html>`;
}

function localDate(time, zone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(time));
}

createServer(async (req, res) => {
  const url = new URL(req.url, "http://x");
  if (url.pathname.startsWith("/v1/") || url.pathname === "/openapi.yaml") {
    const headers = { ...req.headers };
    delete headers["accept-encoding"];
    const out = request(server + req.url, { method: req.method, headers: { ...headers, host: new URL(server).host } }, (r) => {
      res.writeHead(r.statusCode, r.headers);
      r.pipe(res);
    });
    out.on("error", () => res.writeHead(502).end());
    res.on("close", () => out.destroy());
    req.pipe(out);
    return;
  }
  try {
    if (url.pathname === "/") {
      const lang = url.searchParams.get("lang") || "en";
      res.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-security-policy": csp, "cache-control": "no-cache" });
      res.end(await page(/^(en|de|nl|fr)$/.test(lang) ? lang : "en"));
      return;
    }
    let body = await readFile(join(root, normalize(url.pathname)), extname(url.pathname) === ".js" ? "utf8" : null);
    // As the program has it: a script that makes one global name is a module that exports it.
    const made = /(\w+)\.iife\.min\.js$/.exec(url.pathname);
    if (made) body += `\nexport { ${made[1]} };\n`;
    res.writeHead(200, { "content-type": kinds[extname(url.pathname)] || "application/octet-stream", "cache-control": "no-cache" });
    res.end(body);
  } catch (e) {
    res.writeHead(e.code === "ENOENT" ? 404 : 500).end(String(e.message));
  }
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
