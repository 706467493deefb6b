// Builds a program whose clock shows another time, for pictures with sun: node sunny.mjs 2026-06-18T10:25:00Z OUT. The clock of the
// host stays as it is: the standard library's time.Now is compiled with a distance to it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const [time, out] = process.argv.slice(2);
const ahead = Math.round((Date.parse(time) - Date.now()) / 1000);
if (!out || Number.isNaN(ahead)) throw new Error("usage: node sunny.mjs TIME OUT");
const source = `${execFileSync("go", ["env", "GOROOT"], { encoding: "utf8" }).trim()}/src/time/time.go`;
const now = "sec, nsec, mono := runtimeNow()\n";
const text = readFileSync(source, "utf8");
if (!text.includes(now)) throw new Error(`time.Now of ${source} is not as expected`);
const dir = mkdtempSync(`${tmpdir()}/sunspool-sunny-`);
try {
  writeFileSync(`${dir}/time.go`, text.replace(now, `${now}\tsec += (${ahead})\n`));
  writeFileSync(`${dir}/overlay.json`, JSON.stringify({ Replace: { [source]: `${dir}/time.go` } }));
  execFileSync("go", ["build", "-trimpath", "-overlay", `${dir}/overlay.json`, "-o", out, "."],
    { cwd: fileURLToPath(new URL("../../..", import.meta.url)), stdio: "inherit", env: { ...process.env, CGO_ENABLED: "0" } });
} finally {
  rmSync(dir, { recursive: true });
}
