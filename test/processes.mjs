// Starts coze-token's commands for the tests, and stops them.
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const binary = `${root}build/coze-token`;

export function build() {
  execFileSync("go", ["build", "-o", binary, "./cmd/coze-token"], { cwd: root, stdio: "inherit" });
}

/**
 * Starts a command and waits for the value that `find` sees in a line of its output.
 * @template T
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @param {"stdout" | "stderr"} stream
 * @param {(line: string) => T | undefined} find
 * @returns {Promise<{ found: T, stop: () => Promise<void> }>}
 */
async function start(args, env, stream, find) {
  const child = spawn(binary, args, { env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
  };
  child[stream === "stdout" ? "stderr" : "stdout"].resume();
  const output = [];
  for await (const line of createInterface({ input: child[stream] })) {
    output.push(line);
    const found = find(line);
    if (found !== undefined) {
      child[stream].resume();
      return { found, stop };
    }
  }
  throw new Error(`coze-token ${args.join(" ")} ended:\n${output.join("\n")}`);
}

/**
 * Starts a sandbox on a free port.
 * @returns {Promise<{ url: string, settings: Record<string, string>, stop: () => Promise<void> }>}
 */
export async function startSandbox() {
  /** @type {Record<string, string>} */
  const settings = {};
  const { found, stop } = await start(["sandbox", "--listen", "127.0.0.1:0"], {}, "stdout", (line) => {
    const [, name, value] = /^(\w+)="(.*)"$/.exec(line) ?? [];
    settings[name] = value.replaceAll("\\n", "\n");
    return name === "TOKEN_ENDPOINT" ? value : undefined; // the last line
  });
  return { url: new URL(found).origin, settings, stop };
}

/**
 * Starts the service on a free port.
 * @param {Record<string, string>} settings
 */
export async function startService(settings) {
  const { found, stop } = await start(["serve"], { ...settings, LISTEN: "127.0.0.1:0", LOG_FORMAT: "json" }, "stderr", (line) => {
    const record = line.startsWith("{") ? JSON.parse(line) : {}; // wrong settings are told in plain text
    return record.msg === "serving" ? record.url : undefined;
  });
  return { url: /** @type {string} */ (found), stop };
}

/** Starts the demo on free ports. The address is that of its page. */
export async function startDemo() {
  const { found, stop } = await start(["demo", "--listen", "127.0.0.1:0"], {}, "stdout", (line) => /^Open (\S+) in a browser/.exec(line)?.[1]);
  return { url: /** @type {string} */ (found), stop };
}
