// Runs a Worker in the real runtime: workerd itself, nothing in between.

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(import.meta.url);
const workerd = require(require.resolve("workerd", { paths: [path.dirname(require.resolve("wrangler"))] })).default;

const config = readFileSync(new URL("../../wrangler.jsonc", import.meta.url), "utf8");
/** The date that the tests' Workers are compatible with: wrangler.jsonc's. */
export const COMPATIBILITY_DATE = /"compatibility_date": "(.+)"/.exec(config)?.[1] ?? "";
/** Its flags, in the form of workerd's configuration, which is that of JSON. */
export const COMPATIBILITY_FLAGS = /"compatibility_flags": (\[.*\])/.exec(config)?.[1] ?? "[]";

const here = import.meta.dirname;
/** The folder of the JavaScript side. */
export const host = path.join(here, "..");
const build = path.join(here, "..", "..", "build");

/** Builds a Go program to a module and returns its path. */
export function buildModule(pkg = "./worker/internal/testworker") {
  mkdirSync(build, { recursive: true });
  const to = path.join(build, `${path.basename(pkg)}.wasm`);
  const { status, stderr } = spawnSync(
    "go",
    ["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", to, pkg],
    { cwd: path.join(build, ".."), env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm" }, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`go build ${pkg}: ${stderr}`);
  return to;
}

/** The usual entry. */
export const ENTRY = `
import { env } from "cloudflare:workers";
import { serve } from "./host.mjs";
import program from "./program.wasm";
export default serve(program, env);
`;

// workerd's own HTTP server does not tell a Worker that its client has gone;
// another Worker that gives up its request does, the way Cloudflare's edge does.
// This one passes requests on, and leaves when what it is told to ask answers.
// It is only there where a test wants it: when workerd makes another isolate, V8 drops the WebAssembly of all of them that
// it has not optimised yet.
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
 * Lays out the modules of a Worker, the entry first, and names them as workerd's configuration does.
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
 * Starts workerd with a Worker and waits until it listens. The Worker is one's own entry, a Go program in the usual
 * entry, or an artefact: the folder that `wrangler deploy --dry-run --outdir` made. Without the URL of a cache it has none.
 * @param {{module?: string, entry?: string, artefact?: string, vars?: Record<string, unknown>, front?: boolean, cache?: string, tee?: NodeJS.WritableStream}} options
 */
export async function start({ vars = {}, front = false, cache, tee, ...worker }) {
  mkdirSync(build, { recursive: true });
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
  compatibilityDate = "${COMPATIBILITY_DATE}"
);
const main :Workerd.Worker = (
  modules = [ ${modules.join(", ")} ],
  bindings = [ ${bindings.join(", ")} ],${cache ? `
  cacheApiOutbound = "cache",` : ""}
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ${COMPATIBILITY_FLAGS}
);
`,
  );
  const child = spawn(workerd, ["serve", "config.capnp", "--control-fd=3"], {
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
  // A test that is ended from outside must not leave its workerd behind.
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
  return {
    port,
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
 * Asks until what is asked for is so, and fails when it never is.
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
    if (Date.now() > end) throw new Error(`never so: ${ask}`);
    await sleep(20);
  }
}
