// Builds the Worker's Go program. Wrangler runs this before it bundles, on any system that has Go.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const [named] = process.argv.slice(2); // a test names a file for the same module with the names of its functions
const module = named ?? "build/coze-token.wasm";
const overlay = "build/overlay.json";
rmSync(path.resolve(cwd, module), { force: true }); // so that yesterday's is never deployed

// Two packages of the standard library that have no use on Workers are there as types only, because net/http and our own code
// need them in order to compile. It makes the module a fifth smaller.
const stubs = ["crypto/tls", "crypto/rsa"];
const list = spawnSync("go", ["list", "-f", "{{.Dir}}", ...stubs], { cwd, encoding: "utf8" });
if (list.status === 0) {
  /** @type {Record<string, string>} */
  const Replace = {};
  for (const dir of list.stdout.trim().split(/\r?\n/)) {
    const name = path.basename(dir);
    for (const file of readdirSync(dir)) if (file.endsWith(".go")) Replace[path.join(dir, file)] = "";
    Replace[path.join(dir, `${name}.go`)] = path.join(cwd, "worker", "stub", name, `${name}.go`);
  }
  mkdirSync(`${cwd}/build`, { recursive: true });
  writeFileSync(`${cwd}/${overlay}`, JSON.stringify({ Replace }));
}

const { error, status } = spawnSync(
  "go",
  ["build", "-overlay", overlay, "-tags=nethttpomithttp2", "-buildmode=c-shared", "-trimpath", named ? "-ldflags=" : "-ldflags=-s -w", "-o", module, "./cmd/worker"],
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
