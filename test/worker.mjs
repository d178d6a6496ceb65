// Serves the Worker that `wrangler deploy --dry-run --outdir build/worker` made, for tests in other
// languages. It reads the Worker's variables, a JSON object, from the first line of standard input,
// prints its URL, logs to standard error, and ends with its input.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { start } from "../worker/test/workerd.mjs";

const lines = createInterface({ input: process.stdin });
const { value: first } = await lines[Symbol.asyncIterator]().next();
const worker = await start({
  artefact: process.argv[2],
  config: fileURLToPath(new URL("../wrangler.jsonc", import.meta.url)),
  vars: JSON.parse(first),
  tee: process.stderr,
});
console.log(worker.url);

lines.once("close", worker.stop);
