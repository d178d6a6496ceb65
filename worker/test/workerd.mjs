// Runs a Worker in the real runtime: workerd itself, nothing in between.

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(import.meta.url);
const workerd = require(require.resolve("workerd", { paths: [path.dirname(require.resolve("wrangler"))] })).default;

/** The folder of the JavaScript side. */
export const host = path.join(import.meta.dirname, "..");

/** The compatibility date and flags of a wrangler.jsonc. @param {string} file */
export function compatibility(file = path.join(host, "example", "wrangler.jsonc")) {
  const config = readFileSync(file, "utf8");
  const date = /"compatibility_date": "(.+)"/.exec(config)?.[1];
  const flags = /"compatibility_flags": (\[.*\])/.exec(config)?.[1];
  if (!date || !flags) throw new Error(`${file} has no compatibility date or flags`);
  return { date, flags: /** @type {string[]} */ (JSON.parse(flags)) };
}

/** A folder for what this process builds, until it ends. */
const build = mkdtempSync(path.join(tmpdir(), "worker-test-"));
process.once("exit", () => rmSync(build, { recursive: true, force: true }));

/** Builds the Go program of a folder to a module and returns its path. */
export function buildModule(folder = path.join(host, "internal", "testworker")) {
  const to = path.join(build, `${path.basename(folder)}.wasm`);
  const { status, stderr } = spawnSync(
    "go",
    ["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", to, "."],
    { cwd: folder, env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm" }, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`go build in ${folder}: ${stderr}`);
  return to;
}

/** The usual entry. */
export const ENTRY = `
import { env } from "cloudflare:workers";
import { serve } from "./host.mjs";
import program from "./program.wasm";
export default serve(program, env);
`;

// workerd's own HTTP server does not tell a Worker that its client has gone. Cloudflare does, and
// so does a Worker that gives up its request. This one forwards requests, and gives up when the URL
// that a request names answers. A test has to ask for it: when workerd makes another isolate, V8
// drops the WebAssembly of all isolates that it has not optimised yet.
const FRONT = `
export default {
  async fetch(request, env) {
    const when = request.headers.get("x-leave-when");
    if (!when) return env.MAIN.fetch(request);
    const controller = new AbortController();
    const answer = env.MAIN.fetch(request.url, { method: request.method, signal: controller.signal });
    const left = fetch(when).then(() => controller.abort());
    try {
      return await answer;
    } catch {
      await left;
      return new Response("left", { status: 499 });
    }
  },
};
`;

/**
 * Lays out the modules of a Worker, the entry first, and names them as workerd's configuration
 * does.
 * @param {string} dir where to
 * @param {{module?: string, entry?: string, artefact?: string}} options
 */
function layOut(dir, { module, entry = ENTRY, artefact }) {
  /** @param {string} file */
  const named = (file) => `(name = "${file}", ${file.endsWith(".wasm") ? "wasm" : "esModule"} = embed "${file}")`;
  if (artefact) {
    const files = readdirSync(artefact).filter((file) => /\.(js|wasm)$/.test(file));
    for (const file of files) copyFileSync(path.join(artefact, file), path.join(dir, file));
    return files.sort((a, b) => Number(b.endsWith(".js")) - Number(a.endsWith(".js"))).map(named);
  }
  writeFileSync(path.join(dir, "entry.mjs"), entry);
  const files = readdirSync(host).filter((name) => name.endsWith(".mjs"));
  for (const file of files) copyFileSync(path.join(host, file), path.join(dir, file));
  if (module) {
    copyFileSync(module, path.join(dir, "program.wasm"));
    files.push("program.wasm");
  }
  return ["entry.mjs", ...files].map(named);
}

/**
 * Starts workerd with a Worker and waits until it listens.
 * @param {object} options
 * @param {string} [options.module] a Go program
 * @param {string} [options.entry] the entry's code, if it is not the usual one
 * @param {string} [options.artefact] instead of both, the folder that `wrangler deploy --dry-run --outdir` made
 * @param {string} [options.config] the wrangler.jsonc with the compatibility date, if it is not the example's
 * @param {Record<string, unknown>} [options.vars]
 * @param {boolean} [options.front] whether clients can go away
 * @param {string} [options.cache] the URL of the data centre's cache; without it there is none
 * @param {NodeJS.WritableStream} [options.tee] gets workerd's output
 * @param {boolean} [options.compiled] whether the configuration is compiled beforehand. Otherwise workerd does it, and copies
 *   the module several times meanwhile.
 */
export async function start({ vars = {}, front = false, cache, tee, config, compiled = false, ...worker }) {
  const { date, flags } = compatibility(config);
  const dir = mkdtempSync(path.join(build, "workerd-"));
  const modules = layOut(dir, worker);
  writeFileSync(path.join(dir, "front.mjs"), FRONT);
  const bindings = Object.entries(vars).map(([name, value]) =>
    typeof value === "string"
      ? `(name = "${name}", text = ${JSON.stringify(value)})`
      : `(name = "${name}", json = ${JSON.stringify(JSON.stringify(value))})`,
  );
  writeFileSync(
    path.join(dir, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),${front ? `
    (name = "front", worker = .front),` : ""}${cache ? `
    (name = "cache", external = (address = "${new URL(cache).host}", http = ())),` : ""}
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "${front ? "front" : "main"}") ],
  logging = (structuredLogging = true)
);
const front :Workerd.Worker = (
  modules = [ (name = "front.mjs", esModule = embed "front.mjs") ],
  bindings = [ (name = "MAIN", service = "main") ],
  compatibilityDate = "${date}"
);
const main :Workerd.Worker = (
  modules = [ ${modules.join(", ")} ],
  bindings = [ ${bindings.join(", ")} ],${cache ? `
  cacheApiOutbound = "cache",` : ""}
  compatibilityDate = "${date}",
  compatibilityFlags = ${JSON.stringify(flags)}
);
`,
  );
  if (compiled) {
    const { status, stdout, stderr } = spawnSync(workerd, ["compile", "--config-only", "config.capnp"], { cwd: dir, maxBuffer: 2 ** 28 });
    if (status !== 0) throw new Error(`workerd compile: ${stderr}`);
    writeFileSync(path.join(dir, "config.bin"), stdout);
  }
  const began = performance.now();
  const child = spawn(workerd, ["serve", ...(compiled ? ["--binary", "config.bin"] : ["config.capnp"]), "--control-fd=3"], {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
      tee?.write(text);
    });
  }
  const gone = new Promise((resolve) => child.once("exit", resolve));
  // workerd ends with a test that is killed.
  const kill = () => child.kill("SIGKILL");
  const interrupted = () => process.exit(1);
  process.once("exit", kill).once("SIGTERM", interrupted);
  const stop = async () => {
    process.off("exit", kill).off("SIGTERM", interrupted);
    kill();
    await gone;
    rmSync(dir, { recursive: true, force: true });
  };
  let control = "";
  const port = await new Promise((resolve) => {
    child.stdio[3]?.on("data", (text) => {
      control += text;
      const listens = /"port":(\d+)/.exec(control);
      if (listens) resolve(Number(listens[1]));
    });
    gone.then(() => resolve(0));
  });
  if (!port) {
    await stop();
    throw new Error(`workerd did not start: ${output}`);
  }
  const took = performance.now() - began;
  return {
    port,
    /** How long it took to listen, in milliseconds. */
    took,
    pid: /** @type {number} */ (child.pid),
    url: `http://127.0.0.1:${port}`,
    stop,
    /** Everything that workerd has written so far. */
    output: () => output,
    /** What was logged so far, one object for each line. */
    logs: () =>
      output
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line)),
  };
}

/**
 * Asks until the answer is true, and then returns it.
 * @template T
 * @param {() => T | Promise<T>} ask
 * @param {number} ms
 * @returns {Promise<T>}
 */
export async function eventually(ask, ms = 20_000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await ask();
    if (got) return got;
    if (Date.now() > end) throw new Error(`still not true: ${ask}`);
    await sleep(20);
  }
}
