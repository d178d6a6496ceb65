// The frames that cross the bridge. ABI.md describes them, and frame.go is the other side.

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Bytes before a frame's head: its number and the head's length. */
export const FRAME_HEAD = 8;

/** Bytes before a message's payload: kind, id, owner, length. */
export const MESSAGE_HEAD = 16;

/** The number of a request if the length of its body is unknown. */
export const UNKNOWN_LENGTH = 0xffffffff;

/**
 * @typedef {object} Frame
 * @property {number} number
 * @property {string[]} fields
 * @property {Uint8Array} body a view, not a copy
 */

/**
 * Reads a frame.
 * @param {Uint8Array} bytes
 * @returns {Frame}
 */
export function decodeFrame(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = FRAME_HEAD + view.getUint32(4, true);
  return {
    number: view.getUint32(0, true),
    fields: decodeFields(bytes.subarray(FRAME_HEAD, end)),
    body: bytes.subarray(end),
  };
}

/**
 * Reads the frame of an answer, which the next call into Go overwrites: only the body is kept, as a
 * copy.
 * @param {Uint8Array} bytes
 * @returns {Frame}
 */
export function decodeAnswer(bytes) {
  const frame = decodeFrame(bytes);
  frame.body = frame.body.slice();
  return frame;
}

/**
 * Reads the fields of a head, each of which ends in a NUL.
 * @param {Uint8Array} head
 */
export function decodeFields(head) {
  const fields = decoder.decode(head).split("\0");
  fields.pop();
  return fields;
}

/**
 * Joins fields to a head. A NUL in a field becomes a space.
 * @param {string[]} fields
 */
export function joinFields(fields) {
  let head = "";
  for (const field of fields) {
    head += (field.includes("\0") ? field.replaceAll("\0", " ") : field) + "\0";
  }
  return head;
}

/**
 * Writes a frame into memory of its own.
 * @param {number} number
 * @param {string[]} fields
 * @param {Uint8Array} body
 */
export function encodeFrame(number, fields, body) {
  const head = encoder.encode(joinFields(fields));
  const bytes = new Uint8Array(FRAME_HEAD + head.length + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number, true);
  view.setUint32(4, head.length, true);
  bytes.set(head, FRAME_HEAD);
  bytes.set(body, FRAME_HEAD + head.length);
  return bytes;
}

/** @param {string} text */
export function encodeText(text) {
  return encoder.encode(text);
}

/** @param {Uint8Array} bytes */
export function decodeText(bytes) {
  return decoder.decode(bytes);
}

/**
 * Writes text at the start of a buffer and returns its length in bytes.
 * @param {string} text
 * @param {Uint8Array} into at least three bytes for every UTF-16 unit of text
 */
export function encodeInto(text, into) {
  return encoder.encodeInto(text, into).written;
}

/**
 * Makes headers for Response and fetch from names and values: an object, which they read in half
 * the time of anything else, or Headers if a name is repeated.
 * @param {string[]} fields
 * @param {number} from where the first name is
 * @param {boolean} repeated
 */
export function headersOf(fields, from, repeated) {
  if (repeated) {
    const headers = new Headers();
    for (let i = from; i < fields.length; i += 2) headers.append(fields[i], fields[i + 1]);
    return headers;
  }
  /** @type {Record<string, string>} */
  const once = {};
  for (let i = from; i < fields.length; i += 2) once[fields[i]] = fields[i + 1];
  return once;
}
