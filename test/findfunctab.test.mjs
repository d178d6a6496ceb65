// The module that is deployed is not quite what Go's linker made: script/findfunctab.mjs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { shorten } from "../script/findfunctab.mjs";
import { buildModule } from "../worker/test/workerd.mjs";

/** An instance in which nothing has run but what runs by itself. @param {Uint8Array} bytes */
function instantiate(bytes) {
  const module = new WebAssembly.Module(bytes);
  /** @type {Record<string, Record<string, () => number>>} */
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => 0;
  const instance = new WebAssembly.Instance(module, imports);
  return { memory: Buffer.from(instance.exports.memory.buffer), exports: WebAssembly.Module.exports(module) };
}

test("a shortened module begins with the same memory, byte for byte", () => {
  const made = readFileSync(buildModule());
  const shorter = shorten(made);
  assert(shorter, "findfunctab was not found");
  assert(shorter.length < 0.95 * made.length, `${shorter.length} bytes of ${made.length}`);
  const before = instantiate(made);
  const after = instantiate(shorter);
  assert(before.memory.equals(after.memory));
  assert.deepEqual(after.exports, before.exports);
  assert.equal(shorten(shorter), undefined); // once is enough
});

test("a module without the table is left as it is", () => {
  assert.equal(shorten(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)), undefined);
});
