// Runs the tests of the page, with one demo for all that need no other. It takes names of files; without any, all are run.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { startDemo } from "./harness.mjs";

const files = process.argv.length > 2 ? process.argv.slice(2) : readdirSync("page").filter((name) => name.endsWith(".test.mjs")).map((name) => `page/${name}`);
const { base, api, stop } = await startDemo();
// Two files at a time: much of a test is waiting for the page.
const tests = spawn(process.execPath, ["--test", "--test-concurrency=2", ...files.sort()], { stdio: "inherit", env: { ...process.env, DEMO_SHARED: JSON.stringify({ base, api }) } });
tests.on("exit", (code) => {
  stop();
  process.exit(code ?? 1);
});
