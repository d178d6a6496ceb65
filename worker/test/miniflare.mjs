// Runs a Worker in workerd with cache, KV and rate limits, as wrangler's own emulator (Miniflare)
// makes them.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { ENTRY, compatibility, host } from "./workerd.mjs";

const require = createRequire(import.meta.url);
// It is wrangler's own: a second one would be another version. The options of version 4 are
// documented.
const { Miniflare, convertV4MiniflareOptions } = require(
  require.resolve("miniflare", { paths: [path.dirname(require.resolve("wrangler"))] }),
);

/**
 * Starts a Worker: a Go program in the usual entry or in another one. The other options are
 * Miniflare's.
 * @param {{module: string, entry?: string} & Record<string, unknown>} options
 */
export async function emulate({ module, entry = ENTRY, ...options }) {
  const files = readdirSync(host).filter((name) => name.endsWith(".mjs"));
  const worker = new Miniflare(convertV4MiniflareOptions({
    compatibilityDate: compatibility().date,
    ...options,
    modules: [
      { type: "ESModule", path: "entry.mjs", contents: entry },
      ...files.map((file) => ({ type: "ESModule", path: file, contents: readFileSync(path.join(host, file), "utf8") })),
      { type: "CompiledWasm", path: "program.wasm", contents: readFileSync(module) },
    ],
  }));
  const url = String(await worker.ready).replace(/\/$/, "");
  return { url, worker, stop: () => worker.dispose() };
}
