// A reporter of node --test: the files in which a test failed, a line each.
import { relative } from "node:path";

export default async function* failedFiles(events) {
  const seen = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || !data.file || seen.has(data.file)) continue;
    seen.add(data.file);
    yield `${relative(".", data.file)}\n`;
  }
}
