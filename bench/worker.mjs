// The Worker's benchmark: ours and other Workers side by side in workerd, in one go. docs/performance.md says how to run it and
// how to read it.
//
//   npm run bench-worker                 or: make bench-worker
//   BENCH_SHORT=1 npm run bench-worker   a smoke run of some seconds, whose numbers mean nothing
//
// The load generator and the upstream are bench's, the Go program, each a process of its own; this one only gives orders.

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { start as startWorker } from "../worker/test/workerd.mjs";
import { build as buildService, startSandbox } from "../test/processes.mjs";

const root = path.join(import.meta.dirname, "..");
const built = path.join(root, "build");
const start = (options) => startWorker({ config: path.join(root, "wrangler.jsonc"), ...options });
const plan = process.env.BENCH_SHORT
  ? { starts: 1, rounds: 1, seconds: 0.3, warm: 0.2, connections: 4, sessions: 10, last: 50 }
  : { starts: 15, rounds: 15, seconds: 0.8, warm: 3, connections: 16, sessions: 1000, last: 5000 };

const does = {
  ours: "this service, the artefact that is deployed, CACHE=off: signs and exchanges for each request; default settings, one log record each",
  remembering: "this service with default settings: the tokens are remembered, one log record each",
  quiet: "the same with LOG_LEVEL=warn",
  neighbour: "a plain JavaScript Worker that does what remembering does: the same headers, count, memory, answer and record",
  javascript: "a plain JavaScript Worker: imports the key, signs and exchanges for each request",
  keeping: "the same, but the key is imported once: the least that an exchange costs here in any language",
  static: "a JavaScript Worker whose answer is always the same, with our headers and body",
};

/** @typedef {keyof does} Name */
/** @typedef {{requests: number, seconds: number, p50: number, p99: number, busy: number}} Result */

/** What is to be ended at the end, latest first. @type {(() => unknown)[]} */
const endings = [];

function run(command, args, env = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: root, env: { ...process.env, ...env }, encoding: "utf8" });
  if (error || status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error ?? stdout + stderr}`);
}

/** Builds what is measured: what wrangler would deploy, and each JavaScript Worker as an artefact of its own. */
function build() {
  mkdirSync(built, { recursive: true });
  run("go", ["build", "-o", path.join(built, "bench"), "./bench"]);
  buildService();
  const dir = mkdtempSync(path.join(built, "bench-"));
  endings.push(() => rmSync(dir, { recursive: true, force: true }));
  const artefacts = Object.fromEntries(
    ["ours", "javascript", "neighbour", "static", "memory"].map((name) => [name, path.join(dir, name)]),
  );
  run("wrangler", ["deploy", "--dry-run", "--outdir", artefacts.ours], { WRANGLER_SEND_METRICS: "false" });
  for (const name of ["javascript", "static"]) {
    mkdirSync(artefacts[name]);
    copyFileSync(path.join(root, "bench", "contenders", `${name}.mjs`), path.join(artefacts[name], "worker.js"));
  }
  run("esbuild", ["--bundle", "--format=esm", `--outfile=${path.join(artefacts.neighbour, "worker.js")}`, "bench/contenders/neighbour.mjs"]);
  // Ours with a window on the memory of its WebAssembly, which is not to be seen from outside. Nothing is timed in it.
  mkdirSync(artefacts.memory);
  for (const file of readdirSync(artefacts.ours)) {
    if (/\.(js|wasm)$/.test(file)) copyFileSync(path.join(artefacts.ours, file), path.join(artefacts.memory, file));
  }
  writeFileSync(
    path.join(artefacts.memory, "0.js"),
    `import { memories } from "./1.js";
import worker from "./worker.js";
export default {
  fetch(request, env, ctx) {
    if (!request.url.endsWith("/memory")) return worker.fetch(request, env, ctx);
    return new Response(String(memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0)));
  },
};
`,
  );
  writeFileSync(
    path.join(artefacts.memory, "1.js"),
    `export const memories = [];
const Instance = WebAssembly.Instance;
WebAssembly.Instance = function (...args) {
  const instance = new Instance(...args);
  memories.push(instance.exports.memory);
  return instance;
};
`,
  );
  return artefacts;
}

/** Starts a role of the Go program; what it answers to each line is the returned function's promise. @param {string} role */
function role(role) {
  const child = spawn(path.join(built, "bench"), [role], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = new Promise((resolve) => child.once("exit", resolve));
  endings.push(() => {
    child.stdin.end();
    return gone;
  });
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`bench ${role} ended`);
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(answer.error);
    return answer;
  };
  return {
    first: next,
    /** @param {object} order */
    ask(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      return next();
    },
  };
}

/** The CPU time of a process in microseconds, as far as the system tells. @param {number} pid */
function cpuTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10000; // clock ticks are hundredths of a second wherever there is /proc
  } catch {
    return NaN;
  }
}

/** The resident memory of a process in megabytes. @param {number} pid */
function resident(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  } catch {
    return NaN;
  }
}

async function token(url, session) {
  const response = await fetch(url, { method: "POST", headers: { "X-User-ID": session } });
  const body = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${body}`);
  return { token: JSON.parse(body).access_token, body, headers: Object.fromEntries(response.headers) };
}

async function main() {
  const artefacts = build();
  const load = role("load");
  const upstream = await role("upstream").first();
  const sandbox = await startSandbox();
  endings.push(sandbox.stop);

  const common = { ...sandbox.settings, TOKEN_DURATION: "900", MINT_BUDGET: "off", RATE_LIMIT: "1000000/1s" };
  /** @type {Record<string, {artefact: string, vars: Record<string, string>}>} */
  const contenders = {
    ours: { artefact: artefacts.ours, vars: { ...common, CACHE: "off" } },
    javascript: { artefact: artefacts.javascript, vars: common },
    keeping: { artefact: artefacts.javascript, vars: { ...common, KEEP_KEY: "yes" } },
    static: { artefact: artefacts.static, vars: {} },
  };

  // Each that exchanges is held to the strict sandbox once.
  for (const name of ["ours", "javascript", "keeping"]) {
    const worker = await start(contenders[name]);
    const first = await token(worker.url, "user-1").finally(worker.stop);
    const issued = await fetch(`${sandbox.url}/sandbox/issued`, { headers: { Authorization: `Bearer ${first.token}` } });
    const issue = /** @type {{session_name?: string}} */ (await issued.json());
    if (issue.session_name !== "user-1") throw new Error(`${name}: the token is for the session ${issue.session_name}`);
  }
  common.TOKEN_ENDPOINT = new URL("/api/permission/oauth2/token", upstream.url).href;
  for (const name of ["ours", "keeping"]) contenders[name].vars.TOKEN_ENDPOINT = common.TOKEN_ENDPOINT;

  // Where the service remembers, that is a contender too. Whether it does is seen, not assumed.
  const asked = async (vars) => {
    const worker = await start({ artefact: artefacts.ours, vars });
    const first = await token(worker.url, "user-1");
    const second = await token(worker.url, "user-1").finally(worker.stop);
    return { remembers: first.token === second.token, answer: first };
  };
  if ((await asked(contenders.ours.vars)).remembers) throw new Error("ours remembers, although CACHE is off");
  const { remembers, answer } = await asked(common);
  if (remembers) {
    contenders.remembering = { artefact: artefacts.ours, vars: common };
    contenders.quiet = { artefact: artefacts.ours, vars: { ...common, LOG_LEVEL: "warn" } };
    contenders.neighbour = { artefact: artefacts.neighbour, vars: common };
  }
  delete answer.headers["content-length"];
  contenders.static.vars = { BODY: answer.body, HEADERS: JSON.stringify(answer.headers) };
  const names = /** @type {Name[]} */ (Object.keys(contenders));

  console.log(`workerd on ${process.platform}/${process.arch} with ${availableParallelism()} CPUs. ${plan.starts} fresh starts; ` +
    `${plan.rounds} rounds of ${plan.seconds} s with ${plan.connections} connections, in each of which the contenders take turns.\n`);

  /** Values by contender, in the order of the rounds. */
  const collect = () => /** @type {Record<Name, number[]>} */ (Object.fromEntries(names.map((name) => [name, []])));
  const [ready, first, rate, p50, p99, cpu, cores, busy] = Array.from({ length: 8 }, collect);

  for (let i = 0; i < plan.starts; i++) {
    for (const name of names) {
      const worker = await start({ ...contenders[name], compiled: true });
      ready[name].push(worker.took);
      try {
        const one = await load.ask({ url: worker.url, connections: 1, requests: 1, sessions: 1, seconds: 20 });
        first[name].push(one.p50 / 1000);
      } finally {
        await worker.stop();
      }
    }
  }

  /** @type {Record<string, Awaited<ReturnType<typeof start>>>} */
  const workers = {};
  for (const name of names) {
    workers[name] = await start(contenders[name]);
    endings.push(workers[name].stop);
    await load.ask({ url: workers[name].url, connections: 4, requests: plan.sessions, sessions: plan.sessions, seconds: 60 });
    await load.ask({ url: workers[name].url, connections: plan.connections, sessions: plan.sessions, seconds: plan.warm }); // until V8 has optimised
  }
  for (let i = 0; i < plan.rounds; i++) {
    for (const name of names) {
      const { url, pid } = workers[name];
      const before = cpuTime(pid);
      const result = /** @type {Result} */ (
        await load.ask({ url, connections: plan.connections, sessions: plan.sessions, seconds: plan.seconds })
      );
      cpu[name].push((cpuTime(pid) - before) / result.requests);
      cores[name].push((cpuTime(pid) - before) / result.seconds / 1e6);
      rate[name].push(result.requests / result.seconds);
      p50[name].push(result.p50 / 1000);
      p99[name].push(result.p99 / 1000);
      busy[name].push(result.busy);
    }
  }
  const memory = Object.fromEntries(names.map((name) => [name, resident(workers[name].pid)]));
  const module = await wasmMemory(artefacts.memory, contenders.ours.vars, load);

  // Until it listens, workerd's own start is most of the time. A Worker's start is what it takes longer than the plain one.
  const longer = /** @type {Record<Name, number[]>} */ (Object.fromEntries(names.map((name) => [name, ready[name].map((ms, i) => ms - ready.javascript[i])])));
  const both = /** @type {Record<Name, number[]>} */ (Object.fromEntries(names.map((name) => [name, first[name].map((ms, i) => ms + longer[name][i])])));
  print([
    ["contender", "start ms", "first request ms", "both ms", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "resident MB", "its cores", "generator's"],
    ...names.map((name) => [
      name,
      ...[longer, first, both, rate, p50, p99, cpu].map((of) => number(median(of[name]))),
      number(memory[name]),
      number(median(cores[name])),
      number(median(busy[name])),
    ]),
  ]);
  for (const name of names) console.log(`  ${name.padEnd(12)} ${does[name]}`);
  console.log(`\nstart: until workerd listens (javascript: ${number(median(ready.javascript))} ms), less the same of javascript. Both: what the first visitor of a new isolate waits.`);
  console.log(`\nThe Go program's own memory after ${plan.last} requests: ${number(module / 2 ** 20)} MB of WebAssembly (an isolate may have 128 MB in all).\n`);

  const disturbed = median(cores.static) < 0.9;
  console.log(`The start of ours: ${number(median(longer.ours))} ms, goal ≤ 95: ${disturbed ? "not judged" : median(longer.ours) <= 95 ? "reached" : "missed"}\n`);
  const perCPU = /** @type {Record<Name, number[]>} */ (Object.fromEntries(names.map((name) => [name, cpu[name].map((v) => 1 / v)])));
  /** @type {[string, Record<Name, number[]>, Name, Name, string, ((ratio: number) => boolean)?][]} */
  const comparisons = [
    ["first request: ours / javascript", first, "ours", "javascript", "≤ 1.5", (r) => r <= 1.5],
    ["requests per CPU time: remembering / static", perCPU, "remembering", "static", "≥ 0.45", (r) => r >= 0.45],
    ["requests per CPU time: quiet / static", perCPU, "quiet", "static", "≥ 0.65", (r) => r >= 0.65],
    ["requests per CPU time: remembering / neighbour", perCPU, "remembering", "neighbour", "≥ 0.7", (r) => r >= 0.7],
    ["requests per CPU time: neighbour / static", perCPU, "neighbour", "static", ""],
    ["requests per CPU time: ours / javascript", perCPU, "ours", "javascript", "≥ 0.9", (r) => r >= 0.9],
    ["requests per CPU time: ours / keeping", perCPU, "ours", "keeping", ""],
    ["requests/s: ours / javascript", rate, "ours", "javascript", ""],
    ["requests/s: keeping / javascript", rate, "keeping", "javascript", ""],
    ["requests/s: remembering / static", rate, "remembering", "static", ""],
    ["requests/s: remembering / javascript", rate, "remembering", "javascript", ""],
  ];
  print([
    ["ratio, of two contenders in the same round", "median", "min–max", "goal", ""],
    ...comparisons
      .filter(([, , a]) => names.includes(a))
      .map(([what, of, a, b, goal, reached]) => {
        const ratios = of[a].map((value, i) => value / of[b][i]);
        const bounds = [Math.min(...ratios), Math.max(...ratios)].map((r) => r.toFixed(2)).join("–");
        return [what, median(ratios).toFixed(2), bounds, goal, reached ? disturbed ? "not judged" : reached(median(ratios)) ? "reached" : "missed" : ""];
      }),
  ]);
  if (disturbed) {
    console.log(`The machine was busy with something else: static, which never waits, got ${number(median(cores.static))} of a core. So no goal is judged; go by the ratios\nper CPU time, or measure again.`);
  }
  if (!remembers) console.log("The service does not remember tokens on this host yet, so there is no such contender.");
}

/** The size of the module's memory after some load. */
async function wasmMemory(artefact, vars, load) {
  const worker = await start({ artefact, vars });
  try {
    await load.ask({ url: worker.url, connections: plan.connections, requests: plan.last, sessions: plan.sessions, seconds: 60 });
    return Number(await (await fetch(`${worker.url}/memory`)).text());
  } finally {
    await worker.stop();
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** A number with about three digits that matter. @param {number} value */
function number(value) {
  return Number.isNaN(value) ? "–" : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** @param {string[][]} rows the head first */
function print(rows) {
  const width = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => (i ? cell.padStart(width[i]) : cell.padEnd(width[i]))).join(" | ")} |`;
  const rule = `|${width.map((w, i) => "-".repeat(w + 1) + (i ? ":" : "-")).join("|")}|`;
  console.log([line(rows[0]), rule, ...rows.slice(1).map(line), ""].join("\n"));
}

try {
  await main();
} finally {
  for (const end of endings.reverse()) await end();
}
