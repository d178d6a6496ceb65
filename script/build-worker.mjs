// Builds the Worker's Go program. Wrangler runs this before it bundles, on any system that has Go.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const { error, status } = spawnSync(
  "go",
  ["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", "build/coze-token.wasm", "./cmd/worker"],
  {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm" },
    stdio: "inherit",
  },
);
if (error) console.error(`The Worker is built with Go, and go could not be run (${error.message}). Install Go from https://go.dev/dl/ and try again.`);
process.exit(error ? 1 : status);
