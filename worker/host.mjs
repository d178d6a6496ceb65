// The JavaScript side of a Go program on Workers. It translates and performs, and decides nothing.
// ABI.md describes the bridge, and README.md how to use it.

import { headersOf } from "./codec.mjs";
import { Call } from "./call.mjs";
import { Instance } from "./instance.mjs";

/**
 * Makes a Worker of a Go program that calls worker.Serve. Call it in global scope: then the program
 * is started and warm before the first request comes.
 *
 *     import { env } from "cloudflare:workers";
 *     import { serve } from "./host.mjs";
 *     import program from "./program.wasm";
 *     export default serve(program, env);
 *
 * @param {WebAssembly.Module} module
 * @param {object} env the Worker's variables, which become Go's environment
 * @returns {{fetch(request: Request, env: unknown, ctx: ExecutionContext): Response | Promise<Response>}}
 */
export function serve(module, env) {
  /** @type {Record<string, string>} */
  const text = {};
  for (const [name, value] of Object.entries(env)) text[name] = textOf(value);
  /** @type {Instance | undefined} serves the next request */
  let current = new Instance(module, text, true);

  return {
    fetch(request, bindings, ctx) {
      if (!current?.usable()) {
        current = undefined;
        try {
          current = new Instance(module, text, false);
        } catch {
          return internalError();
        }
      }
      const instance = current;
      const call = new Call(request, bindings, ctx);
      instance.start(call);
      if (call.answer === undefined) return call.wait(instance).then(() => respond(call.answer));
      if (call.pending > 0 || call.background) ctx.waitUntil(call.keepAwake(instance));
      return respond(call.answer);
    },
  };
}

/** The same as NotText in worker.go. */
const NOT_TEXT = "[not text]";

/**
 * Returns a variable as text. A variable that cannot be text is not dropped, because the program
 * would take it for unset.
 * @param {unknown} value
 */
function textOf(value) {
  switch (typeof value) {
    case "string":
      return value.includes("\0") ? NOT_TEXT : value;
    case "boolean":
      return String(value);
    case "number": // a larger one has lost digits
      return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : NOT_TEXT;
    case "object":
      if (value === null) return NOT_TEXT; // it may have been meant to close something
      // A binding is an instance of a class. A value that JSON made is not.
      if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
        return JSON.stringify(value);
      }
  }
  return NOT_TEXT;
}

/** Set in an answer's number: a name is repeated, and the handler has encoded the body. */
const REPEATED = 1 << 16;
const ENCODED = 1 << 17;

/**
 * Makes the Response of Go's answer. There is none if Go or the handler has failed.
 * @param {import("./codec.mjs").Frame | null | undefined} answer
 */
function respond(answer) {
  if (!answer) return internalError();
  const { number, fields, body } = answer;
  const status = number & 0xffff;
  const none = status === 204 || status === 205 || status === 304;
  /** @type {ResponseInit} */
  const init = { status, headers: headersOf(fields, 0, (number & REPEATED) !== 0) };
  if (number & ENCODED) init.encodeBody = "manual"; // it must not be encoded again
  return new Response(none ? null : body, init);
}

function internalError() {
  return new Response('{"error":"internal error","code":"internal_error"}', {
    status: 500,
    headers: {
      "Content-Type": "application/json; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}
