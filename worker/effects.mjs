// What JavaScript does for Go. An effect gets a payload and returns bytes or throws. It decides
// nothing. To add one: a kind in frame.go, a Go function that calls bridge.perform, and an entry
// here.

import { decodeFrame, decodeText, encodeFrame, headersOf } from "./codec.mjs";

const NOTHING = new Uint8Array();

/** The effect that only the owner's own call can perform. */
export const READ_BODY = 16;

/** Set in the number of a fetch's result when the body was over its cap. */
const TRUNCATED = 1 << 16;

/** What an effect needs. */
export class Task {
  /**
   * @param {Uint8Array} payload its own copy
   * @param {Request} request of the call on whose account it is performed
   * @param {boolean} own whether that call owns the effect
   * @param {unknown} env the Worker's bindings
   * @param {CryptoKey[]} keys imported by this instance
   */
  constructor(payload, request, own, env, keys) {
    this.payload = payload;
    this.request = request;
    this.own = own;
    this.env = env;
    this.keys = keys;
    /** @type {((value?: unknown) => void) | undefined} call it when Go no longer waits */
    this.stop = undefined;
  }

  /**
   * A promise that is resolved when Go no longer waits. An effect that can be ended reads it once,
   * before anything else. The end may come from another request. That must not use this one's
   * objects, but a promise may cross.
   */
  get abandoned() {
    const { promise, resolve } = Promise.withResolvers();
    this.stop = resolve;
    return promise;
  }

  /** The same as a signal, which is slow to make. */
  get signal() {
    const controller = new AbortController();
    this.abandoned.then(() => controller.abort());
    return controller.signal;
  }
}

/** @type {Record<number, (task: Task) => Promise<Uint8Array>>} */
export const effects = {
  [READ_BODY]: readBody,
  17: sendRequest,
  18: importKey,
  19: sign,
  20: abortable(cacheGet),
  21: abortable(cachePut),
  22: abortable(kvGet),
  23: abortable(kvPut),
  24: abortable(limit),
  25: verify,
};

// The number in a result says how an effect on a binding ended. bindings.go has the same numbers.
const NO = 0;
const YES = 1;
const UNBOUND = 2;

/**
 * Returns the reason for a failure, in words that cannot hold a secret: a TypeError quotes its
 * argument, and a failed connection names at most a URL.
 * @param {unknown} error
 */
export function reason(error) {
  if (error instanceof Failure) return error.message;
  if (!(error instanceof Error)) return "failed";
  if (error.name !== "Error") return `the platform refused it (${error.name})`;
  return error.message.replace(/[a-z]+:\/\/\S+/gi, "(URL)").slice(0, 200);
}

/** An error with a message of our own. */
class Failure extends Error {}

/** @param {Task} task */
async function readBody({ payload, request, own, abandoned }) {
  if (!own) throw new Failure("the request has ended");
  const cap = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  if (Number(request.headers.get("content-length")) > cap) return encodeFrame(1, [], NOTHING);
  const { bytes, whole } = await readUpTo(request.body, cap, abandoned);
  return encodeFrame(whole ? 0 : 1, [], bytes);
}

/**
 * Reports whether a request's frame has a name more than once. Go writes equal names one after the
 * other.
 * @param {string[]} fields
 */
function isRepeated(fields) {
  for (let i = 4; i < fields.length; i += 2) if (fields[i] === fields[i - 2]) return true;
  return false;
}

/** @param {Task} task */
async function sendRequest({ payload, signal }) {
  const { number: cap, fields, body } = decodeFrame(payload);
  const response = await fetch(fields[1], {
    method: fields[0],
    headers: headersOf(fields, 2, isRepeated(fields)),
    body: body.length > 0 ? body : undefined,
    redirect: "manual",
    signal,
  });
  /** @type {string[]} */
  const head = [];
  let length = NaN;
  let encoded = false; // fetch decodes the body, so its length is unknown
  for (const [name, value] of response.headers) {
    head.push(name, value);
    if (name === "content-length") length = Number(value);
    else if (name === "content-encoding") encoded = true;
  }
  // A body of known length is read at once, in a fraction of the time.
  if (length <= cap && !encoded) {
    return encodeFrame(response.status, head, new Uint8Array(await response.arrayBuffer()));
  }
  const { bytes, whole } = await readUpTo(response.body, cap);
  return encodeFrame(response.status | (whole ? 0 : TRUNCATED), head, bytes);
}

/**
 * Reads a body up to a cap and cancels the rest.
 * @param {ReadableStream<Uint8Array> | null} stream
 * @param {number} cap in bytes
 * @param {Promise<unknown>} [abandoned] ends it
 */
async function readUpTo(stream, cap, abandoned) {
  if (!stream) return { bytes: NOTHING, whole: true };
  const reader = stream.getReader();
  abandoned?.then(() => reader.cancel()).catch(() => {});
  /** @type {Uint8Array[]} */
  const chunks = [];
  let total = 0;
  let whole = true;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(total + value.length > cap ? value.subarray(0, cap - total) : value);
    total += value.length;
    if (total > cap) {
      whole = false;
      await reader.cancel().catch(() => {});
      break;
    }
  }
  if (chunks.length === 1) return { bytes: chunks[0], whole };
  const bytes = new Uint8Array(Math.min(total, cap));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { bytes, whole };
}

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** @param {Task} task */
async function importKey({ payload, keys }) {
  try {
    keys.push(await crypto.subtle.importKey("jwk", JSON.parse(decodeText(payload)), RS256, false, ["sign"]));
  } finally {
    payload.fill(0);
  }
  const handle = new Uint8Array(4);
  new DataView(handle.buffer).setUint32(0, keys.length, true);
  return handle;
}

/** @param {Task} task */
async function sign({ payload, keys }) {
  const key = keys[new DataView(payload.buffer, payload.byteOffset).getUint32(0, true) - 1];
  if (!key) throw new Failure("no such key");
  return new Uint8Array(await crypto.subtle.sign(RS256.name, key, payload.subarray(4)));
}

/**
 * How an algorithm of a JWT is called in WebCrypto.
 * @param {string} alg
 * @param {JsonWebKey} jwk
 */
function algorithmOf(alg, jwk) {
  const bits = Number(alg.slice(2));
  const hash = `SHA-${bits}`;
  switch (alg.slice(0, 2)) {
    case "RS":
      return { name: RS256.name, hash };
    case "PS":
      return { name: "RSA-PSS", hash, saltLength: bits / 8 };
    case "ES":
      return { name: "ECDSA", hash, namedCurve: jwk.crv };
    default:
      return { name: "Ed25519" };
  }
}

/** @param {Task} task */
async function verify({ payload }) {
  const { number: length, fields, body } = decodeFrame(payload);
  /** @type {JsonWebKey} */
  const jwk = JSON.parse(fields[1]);
  const how = algorithmOf(fields[0], jwk);
  let key;
  try {
    key = await crypto.subtle.importKey("jwk", jwk, how, false, ["verify"]);
  } catch {
    throw new Failure("the platform does not take the key");
  }
  const good = await crypto.subtle.verify(how, key, body.subarray(0, length), body.subarray(length));
  return reply(good ? YES : NO);
}

/**
 * Ends an effect when Go no longer waits for it. The platform continues, because it cannot be told,
 * but the request need not stay open for as long.
 * @param {(task: Task) => Promise<Uint8Array>} effect
 * @returns {(task: Task) => Promise<Uint8Array>}
 */
function abortable(effect) {
  return (task) =>
    new Promise((resolve, reject) => {
      task.abandoned.then(() => reject(new Failure("no longer awaited")));
      effect(task).then(resolve, reject);
    });
}

/**
 * @param {number} number
 * @param {Uint8Array} [bytes]
 */
const reply = (number, bytes = NOTHING) => encodeFrame(number, [], bytes);

/**
 * Returns a stored value as a result.
 * @param {ReadableStream<Uint8Array> | null | undefined} stream
 * @param {number} cap in bytes
 */
async function replyValue(stream, cap) {
  if (!stream) return reply(NO);
  const { bytes, whole } = await readUpTo(stream, cap);
  if (!whole) throw new Failure("the value is larger than what is carried");
  return reply(YES, bytes);
}

/** @param {Task} task */
async function cacheGet({ payload }) {
  const { number: cap, fields } = decodeFrame(payload);
  const cache = await caches.open(fields[0]);
  const response = await cache.match(fields[1]);
  return replyValue(response?.body, cap);
}

/** @param {Task} task */
async function cachePut({ payload }) {
  const { number: seconds, fields, body } = decodeFrame(payload);
  const cache = await caches.open(fields[0]);
  const headers = { "Cache-Control": `max-age=${seconds}`, "Content-Type": "application/octet-stream" };
  await cache.put(fields[1], new Response(body, { headers }));
  return reply(YES);
}

/**
 * @param {unknown} env
 * @param {string} name
 */
const bound = (env, name) => /** @type {Record<string, any>} */ (env)[name];

/** @param {Task} task */
async function kvGet({ payload, env }) {
  const { number: cap, fields } = decodeFrame(payload);
  /** @type {KVNamespace | undefined} */
  const kv = bound(env, fields[0]);
  if (!kv?.get) return reply(UNBOUND);
  return replyValue(await kv.get(fields[1], "stream"), cap);
}

/** @param {Task} task */
async function kvPut({ payload, env }) {
  const { number: seconds, fields, body } = decodeFrame(payload);
  /** @type {KVNamespace | undefined} */
  const kv = bound(env, fields[0]);
  if (!kv?.put) return reply(UNBOUND);
  await kv.put(fields[1], body, { expirationTtl: seconds });
  return reply(YES);
}

/** @param {Task} task */
async function limit({ payload, env }) {
  const { fields } = decodeFrame(payload);
  /** @type {RateLimit | undefined} */
  const binding = bound(env, fields[0]);
  if (!binding?.limit) return reply(UNBOUND);
  const { success } = await binding.limit({ key: fields[1] });
  return reply(success ? YES : NO);
}
