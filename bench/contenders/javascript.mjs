// The contender that exchanges in plain JavaScript: for each request it imports the key, signs, exchanges and answers, as
// token Workers on the web do. It lacks what a service needs (deadlines, retries, limits, errors that explain), which makes it faster.

// With KEEP_KEY set it imports the key once: then it is the least that an exchange costs on this platform, in any language.

/** @typedef {{KEEP_KEY?: string} & Record<"CLIENT_ID" | "PRIVATE_KEY" | "KID" | "AUDIENCE" | "TOKEN_ENDPOINT" | "TOKEN_DURATION", string>} Env */

/** @type {Promise<CryptoKey> | undefined} */
let kept;

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

/** @param {string} pem */
async function importKey(pem) {
  const text = pem.replace(/-----[^-]+-----/g, "").replace(/\\n|\s/g, "");
  const der = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return crypto.subtle.importKey("pkcs8", der, RS256, false, ["sign"]);
}

/**
 * @param {Env} env
 * @param {string | null} session
 */
async function assertion(env, session) {
  const key = await (env.KEEP_KEY ? (kept ??= importKey(env.PRIVATE_KEY)) : importKey(env.PRIVATE_KEY));
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "RS256", typ: "JWT", kid: env.KID };
  const claims = {
    iss: env.CLIENT_ID,
    aud: env.AUDIENCE,
    iat: now,
    exp: now + 3600,
    jti: crypto.randomUUID(),
    session_name: session ?? undefined,
  };
  const encoder = new TextEncoder();
  const signed = [header, claims].map((part) => base64url(encoder.encode(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign(RS256.name, key, encoder.encode(signed));
  return `${signed}.${base64url(new Uint8Array(signature))}`;
}

/**
 * @param {unknown} body
 * @param {number} status
 */
function json(body, status = 200) {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store" },
  });
}

/**
 * Exchanges an assertion for a token.
 * @param {Env} env
 * @param {string | null} session
 * @returns {Promise<{access_token: string, expires_in: number} | undefined>}
 */
export async function exchange(env, session) {
  const answer = await fetch(env.TOKEN_ENDPOINT, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${await assertion(env, session)}`,
    },
    body: JSON.stringify({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      duration_seconds: Number(env.TOKEN_DURATION),
    }),
  });
  const token = await answer.json();
  return answer.ok && token.access_token ? token : undefined;
}

export default {
  /**
   * @param {Request} request
   * @param {Env} env
   */
  async fetch(request, env) {
    if (request.method !== "POST") return json({ error: "use POST" }, 405);
    const token = await exchange(env, request.headers.get("X-User-ID"));
    if (!token) return json({ error: "no token" }, 502);
    return json({ access_token: token.access_token, expires_in: token.expires_in, token_type: "Bearer" });
  },
};
