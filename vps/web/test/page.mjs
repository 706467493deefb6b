// Runs the tests of the page, with one demo for all that need no other. It takes names of files; without any, all are run.
// A file with a test that fails is run once more when the others are over: twice is a failure. Once is named at the end and in the
// file UNSTEADY, and is to be mended all the same. More than three are not run again.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startDemo } from "./harness.mjs";

const given = process.argv.slice(2);
const files = given.length > 0 ? given : readdirSync("page").filter((name) => name.endsWith(".test.mjs")).map((name) => `page/${name}`);
const { base, api, stop } = await startDemo();
const dir = mkdtempSync(join(tmpdir(), "sunspool-page-"));
const failed = join(dir, "failed");

// run runs files, so many at a time, and returns the exit code and the files that failed.
function run(files, atOnce) {
  writeFileSync(failed, ""); // should it end before it has begun
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=./failedfiles.mjs", `--test-reporter-destination=${failed}`];
  const tests = spawn(process.execPath, ["--test", `--test-concurrency=${atOnce}`, ...reporters, ...files], { stdio: "inherit", env: { ...process.env, DEMO_SHARED: JSON.stringify({ base, api }) } });
  return new Promise((resolve) => tests.on("exit", (code) => resolve({ code: code ?? 1, again: readFileSync(failed, "utf8").split("\n").filter(Boolean) })));
}

const first = await run(files.sort(), 2); // much of a test is waiting for the page
let code = first.code;
if (code !== 0 && first.again.length > 0 && first.again.length <= 3) {
  console.log(`once more: ${first.again.join(" ")}`);
  ({ code } = await run(first.again, 1));
  const unsteady = first.again.map((file) => `${file}: a test failed ${code === 0 ? "once" : "twice"}\n`).join("");
  process.stdout.write(unsteady);
  if (process.env.UNSTEADY) {
    mkdirSync(dirname(process.env.UNSTEADY), { recursive: true });
    writeFileSync(process.env.UNSTEADY, unsteady);
  }
}
stop();
rmSync(dir, { recursive: true });
process.exit(code);
