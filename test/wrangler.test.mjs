// The pieces of configuration on the pages are ones that Wrangler takes without a warning.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "wrangler-"));
after(() => rmSync(folder, { recursive: true }));

const read = `
  const { unstable_readConfig } = require("wrangler");
  for (const config of process.argv.slice(1)) unstable_readConfig({ config });
`;

/** What Wrangler has to say about pieces of a configuration. @param {string[]} pieces */
function warnings(pieces) {
  writeFileSync(`${folder}/worker.mjs`, "export default {};");
  const files = pieces.map((piece, i) => {
    const file = `${folder}/${i}.jsonc`;
    writeFileSync(file, `{ "name": "x", "main": "worker.mjs", "compatibility_date": "2026-01-01",\n${piece}}`);
    return file;
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", read, ...files], { cwd: root, encoding: "utf8" });
  return `${status === 0 ? "" : `status ${status}\n`}${stdout}${stderr}`;
}

for (const document of ["docs/access.md", "docs/access.zh-CN.md", "docs/workers.md", "docs/workers.zh-CN.md"]) {
  test(`${document}: Wrangler takes what belongs into wrangler.jsonc`, () => {
    const text = readFileSync(root + document, "utf8");
    const pieces = [...text.matchAll(/```jsonc\n([^]*?)```/g)].map(([, piece]) => piece);
    assert.ok(pieces.length >= 4, `${pieces.length} pieces`);
    assert.equal(warnings(pieces), "");
  });
}

test("Wrangler warns of what it does not know", () => {
  assert.match(warnings([`"observability": { "logs": { "destination": ["my-logs"] } }`]), /"destination"/);
});
