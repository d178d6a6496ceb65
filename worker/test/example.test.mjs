// The example: the README shows its files, and it works as wrangler would deploy it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { host, start } from "./workerd.mjs";

const example = path.join(host, "example");

for (const readme of ["README.md", "README.zh-CN.md"]) {
  test(`${readme} shows the files of the example`, () => {
    const text = readFileSync(path.join(host, readme), "utf8");
    const blocks = [...text.matchAll(/```\w+\n([^]*?)```/g)].map(([, block]) => block);
    for (const file of ["main.go", "worker.mjs", "wrangler.jsonc"]) {
      assert.ok(blocks.includes(readFileSync(path.join(example, file), "utf8")), `${file} is another one there`);
    }
  });
}

test("the example greets", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "worker-example-"));
  try {
    const { status, stdout, stderr } = spawnSync("wrangler", ["deploy", "--dry-run", "--outdir", dir], {
      cwd: example,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout + stderr);
    const worker = await start({ artefact: dir, vars: { GREETING: "Hello" } });
    try {
      const response = await fetch(`${worker.url}/hello/Gopher`);
      assert.equal(await response.text(), "Hello, Gopher!\n");
      assert.equal((await fetch(worker.url)).status, 404);
      assert.doesNotMatch(worker.output(), /warm-up failed/);
    } finally {
      await worker.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
