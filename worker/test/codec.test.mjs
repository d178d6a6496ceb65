// The frames of testdata/frames.json, which the Go side is tested against too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { decodeFrame, encodeFrame, joinFields } from "../codec.mjs";

const frames = JSON.parse(readFileSync(path.join(import.meta.dirname, "..", "testdata", "frames.json"), "utf8"));

for (const { name, number, fields, body, frame } of frames) {
  const bytes = new Uint8Array(Buffer.from(frame.replaceAll(" ", ""), "hex"));
  test(`frame: ${name}`, () => {
    assert.deepEqual(encodeFrame(number, fields, new Uint8Array(Buffer.from(body, "hex"))), bytes);
    // At an odd place of a larger buffer, as in Go's memory.
    const memory = new Uint8Array(bytes.length + 3);
    memory.set(bytes, 3);
    const decoded = decodeFrame(memory.subarray(3));
    assert.equal(decoded.number, number);
    assert.deepEqual(decoded.fields, fields);
    assert.equal(Buffer.from(decoded.body).toString("hex"), body);
  });
}

test("a NUL cannot end a field early", () => {
  assert.equal(joinFields(["a\0b", "c"]), "a b\0c\0");
});
