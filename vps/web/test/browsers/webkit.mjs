// WebKitGTK's MiniBrowser, driven by WebDriver, which is JSON over HTTP. It has no events: what the page wrote into the
// console before the tour began is not seen.
import { spawn } from "node:child_process";
import { freePort, until } from "../harness.mjs";

/** Starts Debian's WebKitWebDriver, which starts the browser. DISPLAY has to be there (xvfb-run). */
export async function startWebKit(base) {
  const port = await freePort();
  const driver = spawn(process.env.WEBKIT_DRIVER || "WebKitWebDriver", [`--port=${port}`], { stdio: "ignore" });
  driver.unref();
  process.once("exit", () => driver.kill());
  const ask = async (method, path, body) => {
    const a = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const { value } = await a.json();
    if (!a.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  await until(async () => (await ask("GET", "/status")).ready);
  const { sessionId, capabilities } = await ask("POST", "/session", { capabilities: { alwaysMatch: { timeouts: { script: null, pageLoad: 300000, implicit: 0 } } } });
  const session = `/session/${sessionId}`;
  const wrong = [];
  const page = {
    async goto(url) {
      await ask("POST", `${session}/url`, { url });
      await page.evaluate(() => {
        globalThis.wrong = [];
        addEventListener("error", (e) => globalThis.wrong.push(`${e.message} ${e.error && e.error.stack}`));
        addEventListener("unhandledrejection", (e) => globalThis.wrong.push(String(e.reason && e.reason.stack || e.reason)));
        addEventListener("securitypolicyviolation", (e) => globalThis.wrong.push(`CSP ${e.violatedDirective} ${e.blockedURI}`));
      });
    },
    size: (width, height) => ask("POST", `${session}/window/rect`, { width, height }),
    async evaluate(f, ...args) {
      if (typeof f === "string") return ask("POST", `${session}/execute/sync`, { script: f, args: [] });
      const text = await ask("POST", `${session}/execute/async`, { args: [], script: `const done = arguments[arguments.length - 1];
        Promise.resolve().then(() => (${f})(...${JSON.stringify(args)})).then((v) => done(JSON.stringify({ v })), (e) => done(JSON.stringify({ e: String(e && e.stack || e) })));` });
      const a = JSON.parse(text);
      if (a.e) throw new Error(a.e);
      return a.v;
    },
    screenshot: async () => Buffer.from(await ask("GET", `${session}/screenshot`), "base64"),
  };
  return { name: `${capabilities.browserName} ${capabilities.browserVersion}`, page, wrong, async close() {
    const other = await page.evaluate((own) => performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith(own) && !/^(data|blob):/.test(n)), base);
    wrong.push(...(await page.evaluate(() => globalThis.wrong)), ...other.map((n) => `request to ${n}`));
    await ask("DELETE", session);
    driver.kill();
  } };
}
