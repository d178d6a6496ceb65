// The Worker's benchmark in small, so that it cannot rot. Its numbers mean nothing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";

test("the Worker's benchmark runs", { timeout: 120_000 }, () => {
  const report = execFileSync("node", ["bench/worker.mjs"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, BENCH_SHORT: "1" },
    encoding: "utf8",
  });
  for (const name of ["ours", "remembering", "javascript", "keeping", "static"]) assert.match(report, new RegExp(`\\| ${name} `));
  assert.match(report, /first request: ours \/ javascript/);
});
