// Firefox, driven by WebDriver BiDi, which it speaks itself: one WebSocket, a command and its answer have the same id.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/**
 * Starts Debian's Firefox (FIREFOX is another). Its page has of Playwright's what the tour needs, and `wrong`, as open() has.
 * @param {string} base  where the page is: a request to another place is wrong
 */
export async function startFirefox(base) {
  const profile = mkdtempSync(join(tmpdir(), "firefox-"));
  // A profile of its own that asks nobody for anything: only requests of the page are to be seen.
  writeFileSync(join(profile, "user.js"), Object.entries({ "app.update.auto": false, "browser.shell.checkDefaultBrowser": false, "datareporting.policy.dataSubmissionEnabled": false,
    "toolkit.telemetry.server": "", "network.captive-portal-service.enabled": false, "network.connectivity-service.enabled": false, "services.settings.server": "data:,none" })
    .map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(""));
  const firefox = spawn(process.env.FIREFOX || "firefox-esr", ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  process.once("exit", () => {
    firefox.kill();
    rmSync(profile, { recursive: true, force: true });
  });
  const address = await new Promise((resolve, reject) => {
    firefox.once("error", reject);
    firefox.once("exit", (code) => reject(new Error(`Firefox ended with ${code}`)));
    createInterface({ input: firefox.stderr }).on("line", (line) => {
      const found = /listening on (ws:\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  const socket = new WebSocket(`${address}/session`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = (e) => reject(new Error(`${address}: ${e.message || "no connection"}`));
  });
  const wrong = [];
  const waiting = new Map();
  let last = 0;
  socket.onmessage = (m) => {
    const a = JSON.parse(m.data);
    if (a.method === "log.entryAdded" && a.params.level === "error") wrong.push(a.params.text);
    if (a.method === "network.beforeRequestSent" && !a.params.request.url.startsWith(base) && !/^(data|blob):/.test(a.params.request.url)) wrong.push(`request to ${a.params.request.url}`);
    if (!waiting.has(a.id)) return;
    const [resolve, reject] = waiting.get(a.id);
    waiting.delete(a.id);
    if (a.type === "error") reject(new Error(`${a.error}: ${a.message}`));
    else resolve(a.result);
  };
  const ask = (method, params) => new Promise((resolve, reject) => {
    waiting.set(++last, [resolve, reject]);
    socket.send(JSON.stringify({ id: last, method, params }));
  });
  const { capabilities } = await ask("session.new", { capabilities: {} });
  await ask("session.subscribe", { events: ["log.entryAdded", "network.beforeRequestSent"] });
  const { context } = (await ask("browsingContext.getTree", {})).contexts[0];
  const page = {
    goto: (url) => ask("browsingContext.navigate", { context, url, wait: "complete" }),
    size: (width, height) => ask("browsingContext.setViewport", { context, viewport: { width, height } }),
    async evaluate(f, ...args) {
      const expression = typeof f === "string" ? `${f}; null` : `Promise.resolve((${f})(...${JSON.stringify(args)})).then((v) => JSON.stringify(v === undefined ? null : v))`;
      const a = await ask("script.evaluate", { expression, target: { context }, awaitPromise: true });
      if (a.type === "exception") throw new Error(a.exceptionDetails.text);
      return typeof f === "string" ? null : JSON.parse(a.result.value);
    },
    screenshot: async () => Buffer.from((await ask("browsingContext.captureScreenshot", { context })).data, "base64"),
  };
  return { name: `Firefox ${capabilities.browserVersion}`, page, wrong, async close() {
    const over = new Promise((resolve) => firefox.once("exit", resolve));
    await ask("browser.close", {}).catch(() => firefox.kill());
    await over;
    socket.close();
  } };
}
