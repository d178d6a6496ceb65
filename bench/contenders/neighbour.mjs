// What "remembering" does, in plain JavaScript: it reads the same headers, counts by address, keeps tokens in a Map, answers
// with the same headers and logs a record of the same members. It knows one way to be known and no failure, and forgets nothing.
import { exchange } from "./javascript.mjs";

const READ = [
  "Cf-Connecting-Ip", "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers", "Authorization",
  "X-Api-Key", "X-Visitor-Ticket", "X-Turnstile-Token", "Cf-Access-Jwt-Assertion", "Cookie", "Sec-Fetch-Site",
  "X-Wechat-Code", "X-Wechat-Ticket", "X-User-Id", "X-Device-Id", "X-Custom-Consumer", "If-None-Match", "X-Requested-With",
];

/** @type {Map<string, {token: string, expires: number, hash: string}>} session → its token */
const tokens = new Map();

/** @type {Map<string, number>} address → when its quota is whole again, in milliseconds */
const arrivals = new Map();

/**
 * @param {import("./javascript.mjs").Env} env
 * @param {string} session
 */
async function remember(env, session) {
  const got = await exchange(env, session);
  if (!got) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(session)));
  const hash = Array.from(digest.subarray(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const kept = { token: got.access_token, expires: got.expires_in, hash };
  tokens.set(session, kept);
  return kept;
}

export default {
  /**
   * @param {Request} request
   * @param {import("./javascript.mjs").Env & {RATE_LIMIT: string}} env
   */
  async fetch(request, env) {
    const began = Date.now();
    const id = crypto.randomUUID();
    /** @type {Record<string, string>} */
    const sent = {};
    for (const name of READ) {
      const value = request.headers.get(name);
      if (value !== null) sent[name] = value;
    }
    const { pathname } = new URL(request.url);
    if (request.method !== "POST" || pathname !== "/") return new Response("no", { status: 404 });

    const quota = parseInt(env.RATE_LIMIT);
    const address = sent["Cf-Connecting-Ip"] ?? "unknown";
    const arrival = Math.max(began, arrivals.get(address) ?? 0) + 1000 / quota;
    if (arrival - began > 1000) return new Response("too often", { status: 429 });
    arrivals.set(address, arrival);

    const session = sent["X-User-Id"] ?? "";
    let kept = tokens.get(session);
    const cache = kept && kept.expires * 1000 - began > 300_000 ? "hit" : "miss";
    if (cache === "miss") kept = await remember(env, session);
    if (!kept) return new Response("no token", { status: 502 });

    const left = Math.floor(quota - ((arrival - began) * quota) / 1000);
    const body = JSON.stringify({
      access_token: kept.token, expires_in: kept.expires, token_type: "Bearer", token: kept.token,
      ttl: Math.floor(kept.expires - began / 1000),
    });
    const response = new Response(body, {
      headers: {
        "Cache-Control": "no-store",
        "Content-Type": "application/json; charset=utf-8",
        "Ratelimit": `"address";r=${left};t=1`,
        "Ratelimit-Policy": `"address";q=${quota};w=1`,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": id,
      },
    });
    console.log({
      level: "INFO", msg: "request", request_id: id, method: request.method, path: pathname, status: 200,
      ms: Date.now() - began, outcome: "granted", caller_mode: "open", caller: "open", session_hash: kept.hash,
      address: sent["Cf-Connecting-Ip"], cache,
    });
    return response;
  },
};
