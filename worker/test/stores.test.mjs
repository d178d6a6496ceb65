// Bindings, in workerd: the data centre's cache, KV, rate limits.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { after, before, test } from "node:test";
import { startCache } from "./cache.mjs";
import { emulate } from "./miniflare.mjs";
import { listen } from "./upstream.mjs";
import { buildModule, eventually, start } from "./workerd.mjs";

const keys = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const PRIVATE_KEY = String(keys.privateKey.export({ type: "pkcs8", format: "pem" }));
const OTHER_KEY = String(
  crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }),
);

/** @type {string} */
let module;
/** @type {Awaited<ReturnType<typeof emulate>>} */
let worker;

before(async () => {
  module = buildModule();
  worker = await emulate({
    module,
    bindings: { PRIVATE_KEY },
    kvNamespaces: ["TOKENS"],
    secretsStoreSecrets: { STORED: { store_id: "store", secret_name: "secret" } },
    ratelimits: { LIMIT: { namespace_id: "1", simple: { limit: 3, period: 60 } } },
  });
});
after(() => worker?.stop());

/**
 * @param {string} url
 * @param {Record<string, string>} query
 * @param {RequestInit} [init]
 */
async function ask(url, query, init) {
  const began = performance.now();
  const response = await fetch(`${url}?${new URLSearchParams(query)}`, init);
  const { status, headers } = response;
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status, headers, bytes, text: bytes.toString(), ms: performance.now() - began };
}

test("different names are different entries", async () => {
  const names = ["a", "A", "a/", "/a", "a?b", "a#b", "a b", "a%20b", "a+b", "ä", "%C3%A4", "../a", "x".repeat(400)];
  for (const kind of ["cache", "TOKENS"]) {
    for (const name of names) {
      const put = await ask(`${worker.url}/keep`, { kind, name, ttl: "100s" }, { method: "PUT", body: name });
      assert.equal(put.status, 200, put.text);
    }
    for (const name of names) assert.equal((await ask(`${worker.url}/keep`, { kind, name })).text, name);
  }
  for (const name of ["", "a\nb", "a\0b", ".", "..", "x".repeat(513)]) {
    assert.equal((await ask(`${worker.url}/keep`, { kind: "TOKENS", name })).status, 502, JSON.stringify(name));
  }
});

test("KV keeps what lives for a minute or more, with its time, and nothing shorter", async () => {
  const began = Date.now() / 1000;
  const ttls = { short: "59.9s", none: "0s", past: "-1s", minute: "60s", long: "599.9s" };
  for (const [name, ttl] of Object.entries(ttls)) {
    const query = { kind: "TOKENS", name: `ttl-${name}`, ttl };
    const put = await ask(`${worker.url}/keep`, query, { method: "PUT", body: "x" });
    assert.equal(put.status, 200, put.text);
  }
  const kv = await worker.worker.getKVNamespace("TOKENS");
  /** @type {{name: string, expiration: number}[]} */
  const kept = (await kv.list({ prefix: "ttl-" })).keys;
  const took = Date.now() / 1000 - began;
  const life = Object.fromEntries(kept.map(({ name, expiration }) => [name, expiration - began]));
  assert.deepEqual(Object.keys(life).sort(), ["ttl-long", "ttl-minute"]);
  // KV's times are whole seconds. Each began to live while this went on, at the beginning or the
  // end.
  assert.ok(life["ttl-minute"] >= 59 && life["ttl-minute"] <= 61 + took, JSON.stringify({ life, took }));
  assert.ok(life["ttl-long"] >= 598 && life["ttl-long"] <= 600 + took, JSON.stringify({ life, took }));
});

test("a value that is too large is an error, both ways", async () => {
  const cache = await startCache();
  const own = await start({ module, cache: cache.url });
  try {
    const query = { kind: "cache", name: "big", ttl: "100s" };
    await ask(`${own.url}/keep`, query, { method: "PUT", body: "x" });
    const [entry] = cache.entries.values();
    entry.body = Buffer.alloc((64 << 10) + 1);
    const got = await ask(`${own.url}/keep`, query);
    assert.equal(got.status, 502);
    assert.match(got.text, /larger/);
    entry.body = Buffer.alloc(64 << 10);
    assert.equal((await ask(`${own.url}/keep`, query)).bytes.length, 64 << 10);
  } finally {
    await own.stop();
    await cache.stop();
  }
});

test("a binding that is missing is an error that says so", async () => {
  for (const name of ["NOTHING", "PRIVATE_KEY", "LIMIT", "toString"]) {
    const got = await ask(`${worker.url}/keep`, { kind: name, name: "a" });
    assert.equal(got.status, 502);
    assert.match(got.text, /no such binding/);
  }
  const limit = await ask(`${worker.url}/limit`, { binding: "TOKENS", key: "a" });
  assert.match(limit.text, /no such binding/);
});

test("a binding is no text to Go, and not an unset variable either", async () => {
  for (const name of ["TOKENS", "LIMIT", "STORED"]) {
    assert.match((await ask(`${worker.url}/env`, { name })).text, /^\[not text\] /, name);
  }
  assert.match((await ask(`${worker.url}/env`, { name: "NOTHING" })).text, /^ /);
});

test("rate limits count for each key, within the binding's limit", async () => {
  /** @param {string} key */
  const allowed = async (key) => (await ask(`${worker.url}/limit`, { binding: "LIMIT", key })).text;
  // The emulator's minute may end between two calls, as the real one may.
  await eventually(async () => {
    const key = crypto.randomUUID();
    const got = [];
    for (let i = 0; i < 5; i++) got.push(await allowed(key));
    return got.join() === "true,true,true,false,false" && (await allowed(`${key}2`)) === "true";
  });
});

test("the Worker's start makes a secret of the key, the same for the same key", async () => {
  const first = (await ask(`${worker.url}/secret`, {})).text;
  assert.match(first, /^[0-9a-f]{64}$/);
  const again = await start({ module, vars: { PRIVATE_KEY } });
  const other = await start({ module, vars: { PRIVATE_KEY: OTHER_KEY } });
  try {
    assert.equal((await ask(`${again.url}/secret`, {})).text, first);
    assert.notEqual((await ask(`${other.url}/secret`, {})).text, first);
  } finally {
    await again.stop();
    await other.stop();
  }
});

test("a cache that hangs costs no more than the caller's deadline", async () => {
  const cache = await startCache();
  const own = await start({ module, cache: cache.url });
  try {
    cache.fault = () => new Promise(() => {});
    const got = await ask(`${own.url}/keep`, { kind: "cache", name: "a", timeout: "200ms" });
    assert.equal(got.status, 504);
    assert.match(got.text, /deadline exceeded/);
    assert.ok(got.ms >= 200 && got.ms < 1000, `${got.ms} ms`);
  } finally {
    await own.stop();
    await cache.stop();
  }
});

test("a platform that throws is an error, in words without a secret", async () => {
  const throwing = `
import { env } from "cloudflare:workers";
import { serve } from "./host.mjs";
import program from "./program.wasm";
const worker = serve(program, env);
const fail = async () => { throw new Error("KV PUT failed: 429 Too Many Requests at https://api.example.com/secret"); };
const failing = { TOKENS: { get: fail, put: fail }, LIMIT: { limit: fail } };
export default { fetch: (request, env, ctx) => worker.fetch(request, { ...env, ...failing }, ctx) };
`;
  const own = await emulate({ module, entry: throwing });
  try {
    for (const got of [
      await ask(`${own.url}/keep`, { kind: "TOKENS", name: "a" }),
      await ask(`${own.url}/keep`, { kind: "TOKENS", name: "a", ttl: "100s" }, { method: "PUT", body: "x" }),
      await ask(`${own.url}/limit`, { binding: "LIMIT", key: "a" }),
    ]) {
      assert.equal(got.status, 502);
      assert.match(got.text, /429 Too Many Requests/);
      assert.doesNotMatch(got.text, /secret/);
    }
  } finally {
    await own.stop();
  }
});

test("how long a read takes", async (t) => {
  const query = { name: "read", ttl: "100s" };
  /** @param {string} what @param {string} url @param {string} kind */
  const read = async (what, url, kind) => {
    await ask(`${url}/keep`, { ...query, kind }, { method: "PUT", body: Buffer.alloc(300) });
    const took = [];
    for (let i = 0; i < 200; i++) {
      const { headers } = await ask(`${url}/keep`, { ...query, kind });
      took.push(Number(headers.get("x-took")));
    }
    took.sort((a, b) => a - b);
    t.diagnostic(`${what}: p50 ${took[100]} µs, p99 ${took[198]} µs, on the same machine`);
    assert.ok(took[100] > 0);
  };
  const cache = await startCache();
  const own = await start({ module, cache: cache.url });
  try {
    await read("cache, a service of the test's", own.url, "cache");
  } finally {
    await own.stop();
    await cache.stop();
  }
  await read("cache, wrangler's", worker.url, "cache");
  await read("KV, wrangler's", worker.url, "TOKENS");
});
