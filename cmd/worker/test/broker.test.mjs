// The broker over the stores of package worker, in workerd.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCache } from "../../../worker/test/cache.mjs";
import { emulate } from "../../../worker/test/miniflare.mjs";
import { listen } from "../../../worker/test/upstream.mjs";
import { buildModule, eventually, start } from "../../../worker/test/workerd.mjs";

const newKey = () =>
  String(
    crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }),
  );
const PRIVATE_KEY = newKey();
const OTHER_KEY = newKey();

/** @type {string} */
let module;
/** @type {Awaited<ReturnType<typeof emulate>>} */
let worker;

before(async () => {
  module = buildModule(path.join(import.meta.dirname, "..", "internal", "testbroker"));
  worker = await emulate({ module, bindings: { PRIVATE_KEY }, kvNamespaces: ["TOKENS"] });
});
after(() => worker?.stop());

/**
 * @param {string} url
 * @param {Record<string, string>} query
 */
async function ask(url, query) {
  const began = performance.now();
  const response = await fetch(`${url}?${new URLSearchParams(query)}`);
  const text = await response.text();
  return { status: response.status, text, headers: response.headers, ms: performance.now() - began };
}

for (const kind of ["cache", "TOKENS"]) {
  test(`${kind}: what every store must do`, async () => {
    assert.equal((await ask(`${worker.url}/conform`, { kind, prefix: "x/ä?#%2F.." })).text, "");
  });
}

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
      assert.match(key, /^test-store test-store\.invalid\/[\w-]{43}$/, "a cache and a host of its own");
      const all = key + head + body.toString("latin1");
      for (const secret of ["anna", "bert", "czs_", "client-1155", "Bearer", mint.url]) {
        assert.ok(!all.includes(secret), secret);
      }
      const left = (expires - Date.now()) / 1000;
      assert.ok(left > 590 && left <= 600, `kept for ${left} s, of use for 600`);
    }
    // An isolate with another key finds no token, and a changed value cannot be opened.
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
    const waits = [];
    for (let i = 0; i < 20; i++) waits.push((await token()).ms);
    const slow = waits.filter((ms) => ms > 150);
    // The store's 150 ms, the exchange's 30, ticks of 20, a busy machine.
    assert.ok(Math.max(...waits) < 2000, `${waits}`);
    // Five in a row; then one each 3 s.
    assert.ok(slow.length <= 7, `each request waits: ${waits}`);
    for (const free of hung) free();

    cache.fault = () => Promise.reject(new Error("on purpose"));
    await sleep(3100); // the breaker is open after five failures in a row
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

