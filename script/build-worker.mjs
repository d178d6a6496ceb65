// Builds the Worker's Go program. Wrangler runs this before it bundles, on any system that has Go.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const module = "build/coze-token.wasm";
rmSync(`${cwd}/${module}`, { force: true }); // so that yesterday's is never deployed
const { error, status } = spawnSync(
  "go",
  ["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", module, "./cmd/worker"],
  {
    cwd,
    // Go 1.27 has another encoding/json, which makes the module 0.9 MB larger (golang/go#81067). Go 1.26 knows the
    // word as well and has no other.
    env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm", GOEXPERIMENT: "nojsonv2" },
    stdio: "inherit",
  },
);
if (error) console.error(`The Worker is built with Go, and go could not be run (${error.message}). Install Go from https://go.dev/dl/ and try again.`);
process.exit(status ?? 1); // null: a signal ended it
