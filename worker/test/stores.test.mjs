// What outlives an isolate, in workerd: the data centre's cache, KV, rate limits; and the broker over them.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCache } from "./edge.mjs";
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
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, bytes, text: bytes.toString(), headers: response.headers, ms: performance.now() - began };
}

for (const kind of ["cache", "TOKENS"]) {
  test(`${kind}: what every store must do`, async () => {
    assert.equal((await ask(`${worker.url}/conform`, { kind, prefix: "x/ä?#%2F.." })).text, "");
  });
}

test("names that differ do not meet", async () => {
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
  for (const [name, ttl] of [["short", "59.9s"], ["none", "0s"], ["past", "-1s"], ["minute", "60s"], ["long", "599.9s"]]) {
    const put = await ask(`${worker.url}/keep`, { kind: "TOKENS", name: `ttl-${name}`, ttl }, { method: "PUT", body: "x" });
    assert.equal(put.status, 200, put.text);
  }
  const kv = await worker.worker.getKVNamespace("TOKENS");
  /** @type {{name: string, expiration: number}[]} */
  const kept = (await kv.list({ prefix: "ttl-" })).keys;
  const took = Date.now() / 1000 - began;
  const life = Object.fromEntries(kept.map(({ name, expiration }) => [name, expiration - began]));
  assert.deepEqual(Object.keys(life).sort(), ["ttl-long", "ttl-minute"]);
  // KV's times are whole seconds. Each began to live while this went on, at the beginning or the end.
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

test("a binding that is not there is told apart", async () => {
  for (const name of ["NOTHING", "PRIVATE_KEY", "LIMIT", "toString"]) {
    const got = await ask(`${worker.url}/keep`, { kind: name, name: "a" });
    assert.equal(got.status, 502);
    assert.equal(got.headers.get("x-unbound"), "true", got.text);
  }
  const limit = await ask(`${worker.url}/limit`, { binding: "TOKENS", key: "a" });
  assert.equal(limit.headers.get("x-unbound"), "true");
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

/** An upstream that makes tokens, and counts. */
async function startMint() {
  const mint = { count: 0, url: "", stop: async () => {} };
  const server = await listen((request, response) => {
    mint.count++;
    const session = new URL(String(request.url), "http://h").searchParams.get("session");
    setTimeout(() => response.end(`czs_${session}_${mint.count}`), 30);
  });
  return Object.assign(mint, server);
}

test("isolates of one data centre share tokens, and others cannot read them", async () => {
  const cache = await startCache();
  const mint = await startMint();
  const workers = [
    await start({ module, cache: cache.url, vars: { PRIVATE_KEY } }),
    await start({ module, cache: cache.url, vars: { PRIVATE_KEY } }),
    await start({ module, cache: cache.url, vars: { PRIVATE_KEY: OTHER_KEY } }),
  ];
  try {
    /** @param {number} i @param {string} session */
    const token = (i, session) => ask(`${workers[i].url}/token`, { kind: "cache", url: mint.url, session });
    for (const session of ["anna@example.com", "bert"]) {
      const minted = await token(0, session);
      assert.equal(minted.headers.get("x-cache-status"), "miss", minted.text);
      await eventually(() => cache.entries.size === (session === "bert" ? 2 : 1));
      const shared = await token(1, session);
      assert.equal(shared.headers.get("x-cache-status"), "shared");
      assert.equal(shared.text, minted.text);
      assert.equal((await token(1, session)).headers.get("x-cache-status"), "hit");
    }
    assert.equal(mint.count, 2);
    for (const [key, { head, body, expires }] of cache.entries) {
      assert.match(key, /^test-store test-store\.invalid\/[\w-]{43}$/, "a cache of its own, a host that nothing has");
      const all = key + head + body.toString("latin1");
      for (const secret of ["anna", "bert", "czs_", "client-1155", "Bearer", mint.url]) assert.ok(!all.includes(secret), secret);
      const left = (expires - Date.now()) / 1000;
      assert.ok(left > 590 && left <= 600, `kept for ${left} s, of use for 600`);
    }
    // Another key's isolate finds nothing, and what was changed opens for nobody.
    const other = await token(2, "bert");
    assert.equal(other.headers.get("x-cache-status"), "miss");
    for (const entry of cache.entries.values()) entry.body[entry.body.length - 1] ^= 1;
    await workers[1].stop();
    workers[1] = await start({ module, cache: cache.url, vars: { PRIVATE_KEY } });
    const again = await token(1, "anna@example.com");
    assert.equal(again.headers.get("x-cache-status"), "miss");
    assert.match(again.text, /^czs_anna@example\.com_/);
    assert.equal(again.headers.get("x-faults"), "1");
  } finally {
    for (const one of workers) await one.stop();
    await cache.stop();
    await mint.stop();
  }
});

test("a token outlives a Worker in KV", async () => {
  const mint = await startMint();
  try {
    const query = { kind: "TOKENS", url: mint.url, session: "carl" };
    const minted = await ask(`${worker.url}/token`, query);
    assert.equal(minted.headers.get("x-cache-status"), "miss", minted.text);
    const kv = await worker.worker.getKVNamespace("TOKENS");
    const kept = await eventually(async () => {
      const { keys } = await kv.list();
      return keys.find((/** @type {{name: string}} */ { name }) => /^[\w-]{43}$/.test(name));
    });
    const value = Buffer.from(await kv.get(kept.name, "arrayBuffer")).toString("latin1");
    for (const secret of ["carl", "czs_", "client-1155"]) assert.ok(!(kept.name + value).includes(secret), secret);
  } finally {
    await mint.stop();
  }
});

test("a cache that hangs or fails costs its timeout once in a while, and no request", async () => {
  const cache = await startCache();
  const mint = await startMint();
  const own = await start({ module, cache: cache.url, vars: { PRIVATE_KEY } });
  try {
    let n = 0;
    const token = async () => {
      const session = `s${++n}`;
      const got = await ask(`${own.url}/token`, { kind: "cache", url: mint.url, session });
      assert.equal(got.status, 200, got.text);
      assert.match(got.text, new RegExp(`^czs_${session}_`));
      return got;
    };
    await token();

    /** @type {(() => void)[]} */
    const hung = [];
    cache.fault = () => new Promise((resolve) => hung.push(resolve));
    const bounded = await ask(`${own.url}/keep`, { kind: "cache", name: "a", timeout: "200ms" });
    assert.equal(bounded.status, 502);
    assert.match(bounded.text, /deadline exceeded/);
    assert.ok(bounded.ms >= 200 && bounded.ms < 1000, `${bounded.ms} ms`);
    const waits = [];
    for (let i = 0; i < 20; i++) waits.push((await token()).ms);
    const slow = waits.filter((ms) => ms > 150);
    assert.ok(Math.max(...waits) < 1000, `${waits}`); // the store's 150 ms, the exchange's 30, ticks of 20, a busy machine
    assert.ok(slow.length <= 7, `each request waits: ${waits}`); // five in a row; one each 3 s after that
    for (const free of hung) free();

    cache.fault = () => Promise.reject(new Error("on purpose"));
    await sleep(3100); // the broker leaves a store alone that failed five times in a row
    for (let i = 0; i < 10; i++) assert.ok((await token()).ms < 1000);

    cache.fault = undefined;
    await sleep(3100);
    const size = cache.entries.size;
    await token();
    await eventually(() => cache.entries.size > size);
  } finally {
    await own.stop();
    await cache.stop();
    await mint.stop();
  }
});

test("a platform that throws is an error, in words without a secret", async () => {
  const throwing = `
import { env } from "cloudflare:workers";
import { serve } from "./host.mjs";
import program from "./program.wasm";
const worker = serve(program, env);
const fail = async () => { throw new Error("KV PUT failed: 429 Too Many Requests at https://api.example.com/secret"); };
export default {
  fetch: (request, env, ctx) => worker.fetch(request, { ...env, TOKENS: { get: fail, put: fail }, LIMIT: { limit: fail } }, ctx),
};
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

test("how long a look takes", async (t) => {
  const query = { name: "looked for", ttl: "100s" };
  /** @param {string} what @param {string} url @param {string} kind */
  const look = async (what, url, kind) => {
    await ask(`${url}/keep`, { ...query, kind }, { method: "PUT", body: Buffer.alloc(300) });
    const took = [];
    for (let i = 0; i < 200; i++) took.push(Number((await ask(`${url}/keep`, { ...query, kind })).headers.get("x-took")));
    took.sort((a, b) => a - b);
    t.diagnostic(`${what}: p50 ${took[100]} µs, p99 ${took[198]} µs, on the same machine`);
    assert.ok(took[100] > 0);
  };
  const cache = await startCache();
  const own = await start({ module, cache: cache.url });
  try {
    await look("cache, a service of the test's", own.url, "cache");
  } finally {
    await own.stop();
    await cache.stop();
  }
  await look("cache, wrangler's", worker.url, "cache");
  await look("KV, wrangler's", worker.url, "TOKENS");
});
