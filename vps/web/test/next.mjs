// Builds the program as of a later version, whose page has other files, for tests of an update: node next.mjs OUT.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const NEXT = "v99.0.0-next";
export const WORD = "Settings of the next version";

/** @param {string} out */
export function buildNext(out) {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const words = join(root, "vps/web/static/i18n/en.json");
  const dir = mkdtempSync(join(tmpdir(), "sunspool-next-"));
  try {
    writeFileSync(join(dir, "en.json"), JSON.stringify({ ...JSON.parse(readFileSync(words, "utf8")), settings: WORD }));
    writeFileSync(join(dir, "overlay.json"), JSON.stringify({ Replace: { [words]: join(dir, "en.json") } }));
    execFileSync("go", ["build", "-trimpath", "-tags", "nopgxregisterdefaulttypes", "-ldflags", `-s -w -X main.version=${NEXT}`, "-overlay", join(dir, "overlay.json"), "-o", out, "."],
      { cwd: root, stdio: "inherit", env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "" } });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) buildNext(process.argv[2]);
