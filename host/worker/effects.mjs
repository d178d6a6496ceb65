// What JavaScript does for Go. An effect gets its payload and gives bytes or
// throws; it decides nothing. To add one: a kind in outbox.go, a Go function
// that calls bridge.perform, and an entry here.

import { decodeFrame, decodeText, encodeFrame } from "./codec.mjs";

const NOTHING = new Uint8Array();

/** Set in the number of a fetch's result when the body was over its cap. */
const TRUNCATED = 1 << 16;

/**
 * @typedef {object} Task what an effect is performed with
 * @property {Uint8Array} payload its own copy
 * @property {Request} request of the call on whose account it is performed
 * @property {boolean} own whether that call is the one that the effect is for
 * @property {unknown} env the Worker's bindings
 * @property {CryptoKey[]} keys imported by this instance
 * @property {AbortSignal} signal aborted when nobody in Go waits any longer
 */

/** @type {Record<number, (task: Task) => Promise<Uint8Array>>} */
export const effects = {
  16: readBody,
  17: sendRequest,
  18: importKey,
  19: sign,
};

/**
 * The reason for a failure, in words that cannot hold a secret: a TypeError
 * quotes what it was given, a failed connection names at most a URL.
 * @param {unknown} error
 */
export function reason(error) {
  if (error instanceof Failure) return error.message;
  if (!(error instanceof Error)) return "failed";
  if (error.name !== "Error") return `the platform refused it (${error.name})`;
  return error.message.replace(/[a-z]+:\/\/\S+/gi, "(URL)").slice(0, 200);
}

/** An error whose words are our own. */
class Failure extends Error {}

/** @param {Task} task */
async function readBody({ payload, request, own }) {
  if (!own) throw new Failure("the request has ended");
  const cap = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  if (Number(request.headers.get("content-length")) > cap) return encodeFrame(1, [], NOTHING);
  const { bytes, whole } = await readUpTo(request.body, cap);
  return encodeFrame(whole ? 0 : 1, [], bytes);
}

/** @param {Task} task */
async function sendRequest({ payload, signal }) {
  const { number: cap, fields, body } = decodeFrame(payload);
  const headers = new Headers();
  for (let i = 2; i < fields.length; i += 2) headers.append(fields[i], fields[i + 1]);
  const response = await fetch(fields[1], {
    method: fields[0],
    headers,
    body: body.length > 0 ? body : undefined,
    redirect: "manual",
    signal,
  });
  const { bytes, whole } = await readUpTo(response.body, cap);
  return encodeFrame(response.status | (whole ? 0 : TRUNCATED), [...response.headers].flat(), bytes);
}

/**
 * Reads a body up to a cap and leaves the rest unread.
 * @param {ReadableStream<Uint8Array> | null} stream
 * @param {number} cap in bytes
 */
async function readUpTo(stream, cap) {
  if (!stream) return { bytes: NOTHING, whole: true };
  const reader = stream.getReader();
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
