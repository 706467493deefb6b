// A small reverse proxy, as one in front of a server: it may serve it below a path, answer some requests itself, and change what the
// server answers.
import { createServer, request } from "node:http";

/**
 * @param {string} target the server
 * @param {{ path?: string, own?: (req: import("node:http").IncomingMessage, res: import("node:http").ServerResponse) => boolean,
 *   answered?: (headers: import("node:http").IncomingHttpHeaders) => void }} [o] path: /solar, which is taken away; own reports
 *   whether it has answered
 */
export async function startProxy(target, o = {}) {
  const path = o.path || "";
  const server = createServer((req, res) => {
    if (o.own && o.own(req, res)) return;
    const url = String(req.url);
    if (url === path) return res.writeHead(301, { Location: `${path}/` }).end();
    if (!url.startsWith(`${path}/`)) return res.writeHead(404).end("nothing of ours");
    const onward = request(target + url.slice(path.length), { method: req.method, headers: req.headers }, (answer) => {
      if (o.answered) o.answered(answer.headers);
      res.writeHead(answer.statusCode || 502, answer.headers);
      answer.pipe(res);
    });
    onward.on("error", () => (res.headersSent ? res.destroy() : res.writeHead(502).end()));
    res.on("close", () => onward.destroy());
    req.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(0)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { base: `http://127.0.0.1:${port}${path}`, stop: () => {
    server.closeAllConnections();
    server.close();
  } };
}
