// Effects on their own, without a runtime.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrame, encodeFrame } from "../codec.mjs";
import { Task, effects } from "../effects.mjs";

const never = () => new Promise(() => {});

/** @param {{payload?: Uint8Array, request?: unknown, env?: unknown}} given */
const task = ({ payload = new Uint8Array(), request, env }) =>
  new Task(payload, /** @type {any} */ (request), true, env, []);

test("an effect that the platform never ends is over when Go no longer waits", { timeout: 5000 }, async () => {
  const env = { KV: { get: never, put: never }, LIMIT: { limit: never } };
  globalThis.caches = /** @type {any} */ ({ open: async () => ({ match: never, put: never }) });
  const value = new Uint8Array(3);
  for (const [kind, payload] of /** @type {[number, Uint8Array][]} */ ([
    [20, encodeFrame(100, ["space", "https://space.invalid/a"], new Uint8Array())],
    [21, encodeFrame(100, ["space", "https://space.invalid/a"], value)],
    [22, encodeFrame(100, ["KV", "a"], new Uint8Array())],
    [23, encodeFrame(100, ["KV", "a"], value)],
    [24, encodeFrame(0, ["LIMIT", "a"], new Uint8Array())],
  ])) {
    const never = task({ payload, env });
    const end = assert.rejects(effects[kind](never), /no longer awaited/);
    never.stop?.();
    await end;
  }
});

test("a body that never comes is cancelled when Go no longer waits", { timeout: 5000 }, async () => {
  let cancelled = false;
  const body = new ReadableStream({ cancel: () => void (cancelled = true) });
  const request = new Request("http://h/", { method: "POST", body, duplex: "half" });
  const read = task({ payload: new Uint8Array(4), request });
  const end = effects[16](read);
  read.stop?.();
  await end;
  assert.ok(cancelled);
});

test("a value is kept for as long as was asked, as bytes that nothing rewrites", async () => {
  /** @type {Response | undefined} */
  let kept;
  /** @type {string[]} */
  const asked = [];
  globalThis.caches = /** @type {any} */ ({
    open: async (/** @type {string} */ name) => ({
      put: async (/** @type {string} */ url, /** @type {Response} */ response) => {
        asked.push(name, url);
        kept = response;
      },
      match: async () => kept,
    }),
  });
  const body = Uint8Array.from({ length: 256 }, (_, i) => i);
  const fields = ["space", "https://space.invalid/a"];
  await effects[21](task({ payload: encodeFrame(597, fields, body) }));
  assert.deepEqual(asked, fields);
  assert.equal(kept?.headers.get("cache-control"), "max-age=597");
  assert.equal(kept?.headers.get("content-type"), "application/octet-stream");
  const got = decodeFrame(await effects[20](task({ payload: encodeFrame(256, fields, new Uint8Array()) })));
  assert.equal(got.number, 1);
  assert.deepEqual(new Uint8Array(got.body), body);
});

test("a wrong signature is an answer, and a key that the platform does not take is an error", async () => {
  const { publicKey, privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const jwk = await crypto.subtle.exportKey("jwk", publicKey);
  const message = new TextEncoder().encode("message");
  const signature = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, message));
  /** @param {object} key @param {Uint8Array} message */
  const verify = async (key, message) => {
    const body = new Uint8Array([...signature, ...message]);
    const payload = encodeFrame(signature.length, ["ES256", JSON.stringify(key)], body);
    return decodeFrame(await effects[25](task({ payload }))).number;
  };
  assert.equal(await verify(jwk, message), 1);
  assert.equal(await verify(jwk, message.subarray(1)), 0);
  await assert.rejects(verify({ ...jwk, y: jwk.x }, message), /does not take the key/);
});
