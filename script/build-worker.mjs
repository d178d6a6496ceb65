// Builds the Worker's Go program. Wrangler runs this before it bundles, on any system that has Go.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { shorten } from "./findfunctab.mjs";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const [named] = process.argv.slice(2); // a test names a file for the same module with the names of its functions
const module = named ?? "build/coze-token.wasm";
const overlay = `${module}.overlay.json`;
rmSync(path.resolve(cwd, module), { force: true }); // so that yesterday's is never deployed

// Two packages of the standard library that have no use on Workers are there as types only, because net/http and our own code
// need them in order to compile. It makes the module a fifth smaller.
const stubs = ["crypto/tls", "crypto/rsa"];
const { stdout: answer } = spawnSync("go", ["env", "-json", "GOROOT", "GOMODCACHE", "GOPROXY"], { cwd, encoding: "utf8" });
/** @type {Record<string, string>} */
const go = JSON.parse(answer || "{}"); // without go, the build below says so
if (go.GOROOT) {
  /** @type {Record<string, string>} */
  const Replace = {};
  for (const stub of stubs) {
    const dir = path.join(go.GOROOT, "src", stub);
    const name = path.basename(dir);
    for (const file of readdirSync(dir)) if (file.endsWith(".go")) Replace[path.join(dir, file)] = "";
    Replace[path.join(dir, `${name}.go`)] = path.join(cwd, "worker", "stub", name, `${name}.go`);
  }
  mkdirSync(`${cwd}/build`, { recursive: true });
  writeFileSync(path.resolve(cwd, overlay), JSON.stringify({ Replace }));
}

// Go replaces no file beneath GOMODCACHE, and a Go that it has downloaded itself (go.mod's toolchain line) lies there. So this
// build has another, into which modules come from the usual one. "./..." does not see it: its name begins with a dot.
const modules = {
  GOMODCACHE: path.join(cwd, "build", ".modules"),
  GOPROXY: `${pathToFileURL(path.join(go.GOMODCACHE ?? "", "cache", "download"))},${go.GOPROXY}`,
  GOFLAGS: `${process.env.GOFLAGS ?? ""} -modcacherw`, // so that build can be removed
  GOTOOLCHAIN: "local", // the one asked above
};

const { error, status } = spawnSync(
  go.GOROOT ? path.join(go.GOROOT, "bin", "go") : "go",
  ["build", "-overlay", overlay, "-tags=nethttpomithttp2", "-buildmode=c-shared", "-trimpath", named ? "-ldflags=" : "-ldflags=-s -w", "-o", module, "./cmd/worker"],
  {
    cwd,
    // Go 1.27 has another encoding/json, which makes the module 0.9 MB larger (golang/go#81067). Go 1.26 knows the
    // word as well and has no other.
    env: { ...process.env, ...modules, GOOS: "wasip1", GOARCH: "wasm", GOEXPERIMENT: "nojsonv2" },
    stdio: "inherit",
  },
);
if (status === 0) {
  const file = path.resolve(cwd, module);
  const shorter = shorten(readFileSync(file));
  if (shorter) writeFileSync(file, shorter);
  else console.error("script/findfunctab.mjs did not find its table, so the module is larger than it could be. It works as well.");
}
if (error) console.error(`The Worker is built with Go, and go could not be run (${error.message}). Install Go from https://go.dev/dl/ and try again.`);
process.exit(status ?? 1); // null: a signal ended it
