// A data centre's cache, as workerd talks to it: the answer to GET has a Cf-Cache-Status, and the
// body of PUT is a whole HTTP response.

import { listen } from "./upstream.mjs";

/** Starts a cache that several Workers can share. Its fault, if it is set, hangs or fails each request. */
export async function startCache() {
  /** @type {Map<string, {head: string, body: Buffer, expires: number}>} */
  const entries = new Map();
  const cache = {
    entries,
    /** @type {(() => Promise<void>) | undefined} */
    fault: undefined,
    /** @type {Record<string, number>} */
    calls: {},
    url: "",
    stop: async () => {},
  };
  const server = await listen(async (request, response) => {
    const method = String(request.method);
    cache.calls[method] = (cache.calls[method] ?? 0) + 1;
    const key = `${request.headers["cf-cache-namespace"]} ${request.headers.host}${request.url}`;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      await cache.fault?.();
    } catch {
      response.writeHead(500).end();
      return;
    }
    if (method === "PUT") {
      const whole = Buffer.concat(chunks);
      const split = whole.indexOf("\r\n\r\n");
      const head = whole.subarray(0, split).toString("latin1");
      const body = unchunked(head, whole.subarray(split + 4));
      const age = Number(/max-age=(\d+)/.exec(head)?.[1]);
      entries.set(key, { head, body, expires: Date.now() + age * 1000 });
      response.writeHead(204).end();
      return;
    }
    const found = entries.get(key);
    if (!found || found.expires <= Date.now()) {
      response.writeHead(504, { "Cf-Cache-Status": "MISS" }).end();
      return;
    }
    response.writeHead(200, { "Cf-Cache-Status": "HIT", "Content-Length": found.body.length }).end(found.body);
  });
  return Object.assign(cache, server);
}

/**
 * @param {string} head
 * @param {Buffer} body
 */
function unchunked(head, body) {
  if (!/transfer-encoding: *chunked/i.test(head)) return body;
  const parts = [];
  for (let at = 0; ; ) {
    const line = body.indexOf("\r\n", at);
    const size = parseInt(body.subarray(at, line).toString("latin1"), 16);
    if (!size) return Buffer.concat(parts);
    parts.push(body.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
