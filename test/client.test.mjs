// The client package, as built, against the real service and, where the service would have to fail in a certain way,
// against a stand-in. Times are real and short.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { CozeAPI } from "@coze/api";
import { TokenError, tokenSource } from "../client/dist/index.mjs";
import { build, startSandbox, startService } from "./processes.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}client/dist`;
const files = ["index.mjs", "index.js", "index.d.ts", "index.d.mts"];
const KEY = "ctk_0123456789abcdefghijklmnopqrstuvwxyz";
const kept = () => {
  const map = new Map();
  return { map, getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, v), removeItem: (k) => map.delete(k) };
};
let sandbox, service, provider, login, jscode2session;
const servers = [];

async function serve(handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return `http://127.0.0.1:${server.address().port}/`;
}

// A stand-in answers by the script: each request takes the next step, and the last one repeats.
async function standIn(...steps) {
  const seen = [];
  const url = await serve(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const step = steps[Math.min(seen.length, steps.length - 1)];
    seen.push({ headers: request.headers, url: request.url, body, at: performance.now() });
    const { status = 200, headers = {}, text, delay = 0, ...json } = typeof step === "function" ? step(seen.length) : step;
    setTimeout(() => {
      response.writeHead(status, headers);
      response.end(text ?? JSON.stringify(json));
    }, delay);
  });
  return { url, seen };
}
const good = (token, ttl = 900) => ({ access_token: token, token, ttl });

async function userOf(token) {
  const response = await fetch(`${sandbox.url}/v1/users/me`, { headers: { Authorization: `Bearer ${token}` } });
  return (await response.json()).data.user_name;
}
const exchanges = async () => (await (await fetch(`${sandbox.url}/sandbox/exchanges`)).json()).count;

before(async () => {
  build();
  sandbox = await startSandbox();
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  provider = await serve((_, response) => response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" }] })));
  login = (sub, life = 600) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const seconds = Math.floor(Date.now() / 1000);
    const text = `${part({ alg: "ES256", kid: "k" })}.${part({ iss: provider, aud: "page", sub, iat: seconds - 900, exp: seconds + life })}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
  const used = new Set();
  jscode2session = { questions: 0 };
  const wechat = await serve((request, response) => { // WeChat, as its documentation has it: a code is good once
    const asked = new URL(request.url, "http://wechat").searchParams;
    const code = asked.get("js_code");
    const answer = used.has(code) ? { errcode: 40163, errmsg: "code been used" } : { openid: `o-${code.split(" ")[0]}`, session_key: "c2Vzc2lvbg==" };
    used.add(code);
    jscode2session.questions++;
    response.end(JSON.stringify(answer));
  });
  const { CLIENT_ID: client_id, KID: kid, PRIVATE_KEY: private_key } = sandbox.settings;
  const app = { client_id, kid, private_key };
  service = await startService({
    ...sandbox.settings,
    OPEN_ACCESS: "on",
    APPS: JSON.stringify({
      guests: { ...app, visitor_secret: "0123456789-abcdefghijklmnopqrstuvwxyz" },
      wechat: { ...app, wechat_app_id: "wx0123456789abcdef", wechat_app_secret: "0123456789abcdef0123456789abcdef", wechat_api_base: wechat },
      shop: { ...app, wechat_app_id: "wx0123456789abcdef", wechat_app_secret: "0123456789abcdef0123456789abcdef", wechat_api_base: wechat, visitor_secret: "0123456789-abcdefghijklmnopqrstuvwxyz" },
      backend: { ...app, api_keys: `page=${KEY}`, session_required: "on" },
      users: { ...app, jwt_issuer: provider, jwt_audience: "page", jwks_url: provider, visitor_secret: "0123456789-abcdefghijklmnopqrstuvwxyz" },
    }),
  });
});

after(async () => {
  servers.forEach((server) => (server.closeAllConnections(), server.close()));
  await service?.stop();
  await sandbox?.stop();
});

test("what is committed in dist is what build.mjs makes, and small", () => {
  const fresh = mkdtempSync(`${tmpdir()}/client-`);
  execFileSync(process.execPath, [`${root}client/build.mjs`, fresh]);
  for (const file of files) assert.equal(readFileSync(`${dist}/${file}`, "utf8"), readFileSync(`${fresh}/${file}`, "utf8"), `${file}: run npm run build:client`);
  rmSync(fresh, { recursive: true });
  for (const file of ["index.mjs", "index.js"]) {
    const size = gzipSync(readFileSync(`${dist}/${file}`), { level: 9 }).length;
    assert.ok(size <= 4096, `${file} has ${size} bytes compressed`);
  }
});

test("a TypeScript project that installed the packed folder has its types, by import and by require", () => {
  const project = mkdtempSync(`${root}build/types-`);
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", project, `${root}client`]));
  mkdirSync(`${project}/node_modules/coze-token-client`, { recursive: true });
  execFileSync("tar", ["xzf", `${project}/${filename}`, "-C", `${project}/node_modules/coze-token-client`, "--strip-components=1"]);
  const use = `
const tokens = tokenSource({ url: "/token", credential: async () => null, storage: undefined });
const text: Promise<string> = tokens.get({ minTtl: 60, signal: null as unknown as AbortSignal });
const onRefreshToken: (old?: string) => Promise<string> | string = tokens.refresh;
const before: (options: unknown) => Promise<{ token?: string }> = tokens.beforeCall;
const code = (error: unknown): string => (error instanceof TokenError ? error.code : "");
export { text, onRefreshToken, before, code };
// @ts-expect-error
tokenSource({ adress: "" });
`;
  writeFileSync(`${project}/page.mts`, `import { CozeAPI } from "@coze/api";\nimport { tokenSource, TokenError } from "coze-token-client";\nnew CozeAPI({ token: tokenSource({ url: "/", fetch }).get });${use}`);
  writeFileSync(`${project}/server.cts`, `import { tokenSource, TokenError } from "coze-token-client";${use}`);
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
    const sources = module === "nodenext" ? ["page.mts", "server.cts"] : ["page.mts"];
    execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "--noEmit", "--ignoreConfig", "--strict", "--skipLibCheck", "--types", "", "--target", "es2022", "--lib", "es2022,dom", "--module", module, "--moduleResolution", resolution, ...sources], { cwd: project, stdio: "inherit" });
  }
  const loaded = createRequire(`${project}/x.js`)("coze-token-client");
  assert.equal(typeof loaded.tokenSource, "function");
  rmSync(project, { recursive: true });
});

test("visitors: the ticket is kept, and a wrong one is thrown away", async () => {
  const storage = kept();
  const url = `${service.url}guests`;
  const first = await userOf(await tokenSource({ url, storage }).get());
  assert.match(first, /^visitor:/);
  assert.equal(await userOf(await tokenSource({ url, storage }).get()), first, "the next page load is the same visitor");
  const [key] = storage.map.keys();
  storage.map.set(key, "1.made.up");
  const next = await userOf(await tokenSource({ url, storage }).get());
  assert.match(next, /^visitor:/);
  assert.notEqual(next, first);
  assert.equal(await userOf(await tokenSource({ url, storage }).get()), next);
  const asynchronous = { getItem: async (k) => storage.getItem(k), setItem: async (k, v) => storage.setItem(k, v), removeItem: async () => {} };
  assert.equal(await userOf(await tokenSource({ url, storage: asynchronous }).get()), next);
  assert.notEqual(await userOf(await tokenSource({ url, storage: { getItem() { throw new Error("private mode"); } } }).get()), next);
});

test("a login: its user is the session, and a refused credential is asked for once more", async () => {
  const url = `${service.url}users`;
  const asked = [];
  const old = login("old", -60);
  const tokens = tokenSource({ url, credential: (refused) => (asked.push(refused), asked.length === 1 ? old : login("user-1")) });
  assert.equal(await userOf(await tokens.get()), "user-1");
  assert.deepEqual(asked, [undefined, old]);

  let calls = 0;
  await assert.rejects(tokenSource({ url, credential: () => (calls++, old) }).get(), (error) => {
    assert.ok(error instanceof TokenError);
    assert.equal(error.status, 401);
    assert.equal(error.code, "unauthenticated");
    assert.match(error.requestId, /^[A-Z2-7]{26}$/);
    assert.ok(error.hint && error.message.includes(error.hint) && error.message.includes(error.requestId));
    return true;
  });
  assert.equal(calls, 2);

  let user = "user-1";
  const storage = kept();
  const both = tokenSource({ url, storage, credential: () => user && login(user) });
  assert.equal(await userOf(await both.get()), "user-1");
  user = "";
  both.forget();
  assert.match(await userOf(await both.get()), /^visitor:/, "who has logged out is a visitor");
  user = "user-2";
  both.forget();
  assert.equal(await userOf(await both.get()), "user-2");
});

test("forget: an answer that was under way for the one before is not used", async () => {
  const { url } = await standIn({ ...good("first"), delay: 150 }, good("second"));
  const tokens = tokenSource({ url });
  const under = tokens.get();
  await new Promise((resolve) => setTimeout(resolve, 50));
  tokens.forget();
  assert.equal(await tokens.get(), "second");
  assert.equal(await under, "second");
  assert.equal(await tokens.get(), "second");
});

test("an API key names users, on servers only", async () => {
  const url = `${service.url}backend`;
  const session = async (user) => userOf(await tokenSource({ url, apiKey: KEY, user }).get());
  assert.equal(await session("user-1"), "user-1");
  assert.equal(await session("user@example.com"), "user@example.com");
  assert.equal(await session("小明"), "%E5%B0%8F%E6%98%8E");
  assert.equal(await session("100%"), "100%25", "an encoded name is never another's plain one");
  await assert.rejects(tokenSource({ url, apiKey: KEY }).get(), { code: "invalid_session", status: 400 });
  assert.throws(() => tokenSource({ url, apiKey: KEY, credential: () => "" }), { code: "options" });
  assert.throws(() => tokenSource({}), { code: "options" });
  const page = { document: {}, module: { exports: {} } };
  runInNewContext(readFileSync(`${dist}/index.js`, "utf8"), page);
  assert.throws(() => page.module.exports.tokenSource({ url, apiKey: KEY, user: "a" }), /an API key is for servers/);
});

test("an open service gives a token to whoever names a user", async () => {
  assert.equal(await userOf(await tokenSource({ url: service.url, user: "user-1" }).get()), "user-1");
  assert.equal(await userOf(await tokenSource({ url: service.url }).get()), "sandbox", "no session");
});

test("many askers make one request", async () => {
  const before = await exchanges();
  const { url, seen } = await standIn({ ...good("one"), delay: 50 });
  const tokens = tokenSource({ url });
  const all = await Promise.all([...Array(50)].map((_, i) => (i % 2 ? tokens.get() : tokens.beforeCall().then((o) => o.token))));
  assert.deepEqual([...new Set(all)], ["one"]);
  await tokens.get();
  assert.equal(seen.length, 1);
  assert.equal(await exchanges(), before);
});

test("a token is renewed before it ends, and not handed out when it is about to", async () => {
  const { url, seen } = await standIn((n) => good(`t${n}`, 2));
  const tokens = tokenSource({ url });
  assert.equal(await tokens.get(), "t1");
  const began = performance.now();
  const used = new Map();
  while (performance.now() - began < 3500) {
    const token = await tokens.get();
    if (!used.has(token)) used.set(token, performance.now());
    assert.ok(performance.now() - used.get(token) < 1900, "a token was handed out until its end");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(seen.length >= 2 && seen.length <= 4, `${seen.length} requests`);
});

test("life is elapsed time: neither a wrong clock nor a laptop's sleep gives out a dead token", async () => {
  const { url, seen } = await standIn((n) => good(`t${n}`));
  const tokens = tokenSource({ url });
  const { now } = Date;
  try {
    Date.now = () => now() + 400 * 86400e3; // a clock that is a year ahead
    assert.equal(await tokens.get(), "t1");
    assert.equal(await tokens.get(), "t1");
    Date.now = () => now() + 400 * 86400e3 + 3600e3; // asleep for an hour, while performance.now stood still
    assert.equal(await tokens.get(), "t2");
  } finally {
    Date.now = now;
  }
  assert.equal(await tokens.get(), "t3", "and a clock that was set back costs one request");
  assert.equal(await tokens.get(), "t3");
  assert.equal(seen.length, 3);
});

test("a refused token is handed back, once, whoever else was refused", async () => {
  const { url, seen } = await standIn((n) => ({ ...good(`t${n}`), delay: 20 }));
  const tokens = tokenSource({ url });
  assert.equal(await tokens.refresh(""), "t1", "the Chat SDK begins with an empty text");
  assert.equal(seen[0].body, "");
  assert.deepEqual(await Promise.all([...Array(20)].map(() => tokens.refresh("t1"))), Array(20).fill("t2"));
  assert.deepEqual(JSON.parse(seen[1].body), { stale_token: "t1" });
  for (let i = 0; i < 20; i++) assert.equal(await tokens.refresh("t2"), "t2", "no permission looks the same: no storm");
  assert.equal(seen.length, 2);
  assert.equal(await tokens.get({ minTtl: 1000 }), "t3");
  assert.equal(seen[2].url, "/?min_ttl=1000");
});

test("the service exchanges a new token for one that Coze refused", async () => {
  const user = `stale-${Date.now()}`;
  const tokens = tokenSource({ url: service.url, user });
  const first = await tokens.get();
  assert.equal(await userOf(await tokens.refresh(first)), user);
});

test("429, 502, 503 and a broken connection are tried again as Retry-After says, within 3 seconds", async () => {
  for (const [first, pause] of [
    [{ status: 503, headers: { "Retry-After": "1" }, code: "upstream_busy", error: "busy" }, 950],
    [{ status: 429, headers: { "Retry-After": "1" }, code: "rate_limited", error: "slow" }, 950],
    [{ status: 502, code: "upstream_unavailable", error: "down" }, 450],
    [{ status: 502, text: "<html><h1>502 Bad Gateway</h1>" }, 450],
  ]) {
    const { url, seen } = await standIn(first, good("after"));
    const errors = [];
    assert.equal(await tokenSource({ url, onError: (e) => errors.push(e) }).get(), "after");
    assert.equal(seen.length, 2);
    assert.ok(seen[1].at - seen[0].at >= pause, `after ${seen[1].at - seen[0].at} ms`);
    assert.deepEqual(errors, []);
  }
});

test("what would take longer than 3 seconds, or cannot help, is an error at once", async () => {
  const busy = await standIn({ status: 429, headers: { "Retry-After": "20" }, code: "rate_limited", error: "slow", hint: "wait" });
  const errors = [];
  const tokens = tokenSource({ url: busy.url, onError: (e) => errors.push(e) });
  await assert.rejects(tokens.get(), { code: "rate_limited", retryAfter: 20 });
  await assert.rejects(tokens.get(), { code: "rate_limited" }, "and the next asker is told without a request");
  assert.equal(busy.seen.length, 1);
  assert.equal(errors.length, 2);
  for (const [status, code] of [[502, "upstream_rejected"], [500, "misconfigured"], [403, "forbidden"], [404, "not_found"], [400, "invalid_session"]]) {
    const { url, seen } = await standIn({ status, code, error: "no", upstream: { status: 401, code: "invalid_client", message: "m", logid: "l" } });
    await assert.rejects(tokenSource({ url }).get(), { status, code, upstream: { status: 401, code: "invalid_client", message: "m", logid: "l" } });
    assert.equal(seen.length, 1, code);
  }
  const down = await standIn({ status: 503, code: "upstream_busy", error: "busy" });
  const began = performance.now();
  await assert.rejects(tokenSource({ url: down.url }).get(), { status: 503 });
  assert.ok(performance.now() - began < 3000);
  assert.equal(down.seen.length, 3);
});

test("a token that is still good survives a service that is down", async () => {
  const { url, seen } = await standIn(good("survivor", 30), { status: 503, headers: { "Retry-After": "9" }, code: "upstream_busy", error: "busy" });
  const errors = [];
  const tokens = tokenSource({ url, onError: (e) => errors.push(e.code) });
  await tokens.get();
  const { now } = Date;
  try {
    Date.now = () => now() + 28e3; // two seconds before its end
    assert.equal(await tokens.get(), "survivor");
    assert.deepEqual(errors, ["upstream_busy"]);
    await assert.rejects(tokens.refresh("survivor"), { status: 503 }, "but not if Coze refused it");
    Date.now = () => now() + 31e3;
    await assert.rejects(tokens.get(), { status: 503 });
  } finally {
    Date.now = now;
  }
  assert.ok(seen.length >= 2);
});

test("errors say what to look at", async () => {
  const closed = await serve(() => {});
  servers.at(-1).close();
  await assert.rejects(tokenSource({ url: closed }).get(), (error) => error.code === "unreachable" && error.status === 0 && error.message.includes(closed) && !!error.cause);
  const page = await standIn({ status: 404, text: "<!doctype html><title>Not here</title>" });
  await assert.rejects(tokenSource({ url: page.url }).get(), { code: "not_json", status: 404, message: /web page/ });
  await assert.rejects(tokenSource({ url: (await standIn({ data: 1 })).url }).get(), { code: "no_token", status: 200 });
});

test("an AbortSignal ends one asker's wait", async () => {
  const { url, seen } = await standIn({ ...good("slow"), delay: 100 });
  const tokens = tokenSource({ url });
  const controller = new AbortController();
  const one = tokens.get({ signal: controller.signal });
  const other = tokens.get();
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(one, { name: "AbortError" });
  assert.equal(await other, "slow");
  await assert.rejects(tokens.get({ signal: AbortSignal.abort(new Error("gone")) }), /gone/);
  assert.equal(seen.length, 1);
});

test("Turnstile is asked only when the service wants it", async () => {
  const no = { status: 401, headers: { "WWW-Authenticate": "Visitor" }, code: "unauthenticated", error: "Turnstile first" };
  const { url, seen } = await standIn(no, { ...good("in"), headers: { "X-Visitor-Ticket": "1.ticket" } }, good("again"));
  let runs = 0;
  const options = { url, storage: kept(), challenge: async () => `proof-${++runs}` };
  assert.equal(await tokenSource(options).get(), "in");
  assert.equal(await tokenSource(options).get(), "again");
  assert.equal(runs, 1);
  assert.deepEqual(seen.map((r) => [r.headers["x-visitor-ticket"], r.headers["x-turnstile-token"]]), [["new", undefined], ["new", "proof-1"], ["1.ticket", undefined]]);
  const never = await standIn(no);
  await assert.rejects(tokenSource({ url: never.url, challenge: () => "bad" }).get(), { status: 401 });
  assert.equal(never.seen.length, 2);
});

// A mini program: its tools load the CommonJS build, and it has no fetch, URL or AbortController. wx does what its
// documentation says, by a real request.
function miniProgram(extra = {}, name = "wx") {
  const storage = new Map();
  const codes = [];
  const wx = {
    request({ url, method, header, data, dataType, success, fail }) {
      assert.equal(dataType, "text");
      fetch(url, { method, headers: header, body: data }).then(
        async (r) => success({ statusCode: r.status, data: await r.text(), header: Object.fromEntries([...r.headers].map(([k, v]) => [k.replace(/\b\w/g, (c) => c.toUpperCase()), v])) }),
        (e) => fail({ errMsg: `request:fail ${e.message}` }),
      );
    },
    login: ({ success }) => success({ code: (codes.push(`code-${codes.length + 1}`), codes.at(-1)) }),
    getStorageSync: (key) => storage.get(key) ?? "",
    setStorageSync: (key, value) => storage.set(key, value),
    removeStorageSync: (key) => storage.delete(key),
    ...extra,
  };
  const context = { module: { exports: {} }, setTimeout, clearTimeout, [name]: wx };
  runInNewContext(readFileSync(`${dist}/index.js`, "utf8"), context);
  return { ...context.module.exports, storage, codes, wx };
}

test("mini programs: wx and uni are found, Taro is handed over, and a visitor stays the same", async () => {
  for (const name of ["wx", "uni"]) {
    const mini = miniProgram({}, name);
    const url = `${service.url}guests`;
    const first = await userOf(await mini.tokenSource({ url }).get());
    assert.match(first, /^visitor:/);
    assert.equal(mini.storage.size, 1);
    assert.equal(await userOf((await mini.tokenSource({ url }).beforeCall()).token), first);
    await assert.rejects(mini.tokenSource({ url: "http://127.0.0.1:1/" }).get(), { code: "unreachable", message: /list of request domains/ });
    assert.throws(() => mini.tokenSource({ url, apiKey: KEY }), /for servers/);
    assert.equal(mini.codes.length, 0);
  }
  let asked = 0;
  const taro = (options) => (asked++, miniProgram().wx.request(options));
  assert.match(await userOf(await tokenSource({ url: `${service.url}guests`, request: taro }).get()), /^visitor:/);
  assert.equal(asked, 1);
  const page = miniProgram({ request: undefined, login: undefined, getStorageSync: undefined }); // WeChat's JS-SDK in a web page
  assert.match(await userOf(await page.tokenSource({ url: `${service.url}guests`, fetch }).get()), /^visitor:/);
});

test("WeChat: a code for the first time, its ticket from then on, and a new code when the service asks", async () => {
  const ticket = (text) => ({ headers: { "X-WeChat-Ticket": text } });
  const required = { status: 401, code: "wechat_code_required", error: "log in at WeChat" };
  const { url, seen } = await standIn({ ...good("t1"), ...ticket("w1") }, good("t2"), required, { ...good("t3"), ...ticket("w2") }, good("t4"));
  const mini = miniProgram();
  for (const token of ["t1", "t2", "t3", "t4"]) assert.equal(await mini.tokenSource({ url, wechat: true }).get(), token);
  const sent = ({ headers }) => headers["x-wechat-code"] ?? headers["x-wechat-ticket"];
  assert.deepEqual(seen.map(sent), ["code-1", "w1", "w1", "code-2", "w2"]);
  assert.ok(seen.every(({ headers }) => !headers["x-visitor-ticket"]));

  const told = await standIn(required, { ...good("t1"), ...ticket("w1") });
  const unasked = miniProgram();
  assert.equal(await unasked.tokenSource({ url: told.url }).get(), "t1", "without being told");
  assert.deepEqual(told.seen.map(sent), [undefined, "code-1"]);

  const refused = await standIn(required);
  await assert.rejects(miniProgram().tokenSource({ url: refused.url, wechat: true }).get(), { code: "wechat_code_required" });
  assert.equal(refused.seen.length, 2, "once");
  await assert.rejects(miniProgram({ login: ({ fail }) => fail({ errMsg: "login:fail" }) }).tokenSource({ url, wechat: true }).get(), /login:fail/);
});

test("WeChat and the real service: one login, its ticket from then on, and one more when it is no good", async () => {
  let logins = 0;
  const start = (path, options, storage, extra) => {
    const mini = miniProgram({ login: ({ success }) => success({ code: `alice-${++logins}-${path}` }), ...extra });
    for (const [k, v] of storage ?? []) mini.storage.set(k, v);
    return { ...mini, tokens: mini.tokenSource({ url: service.url + path, ...options }) };
  };
  for (const options of [{ wechat: true }, {}]) {
    logins = 0;
    const asked = jscode2session.questions;
    const path = "wechat";
    const unique = Math.random().toString(36).slice(2);
    const login = { login: ({ success }) => success({ code: `${unique}-${++logins}` }) };
    const first = start(path, options, undefined, login);
    const user = await userOf(await first.tokens.get());
    assert.match(user, /^wechat:[0-9a-f]{64}$/);
    assert.equal(logins, 1);
    const [[name, ticket], ...more] = first.storage;
    assert.match(name, /wechat/);
    assert.equal(more.length, 0);
    const again = start(path, options, first.storage, login);
    assert.equal(await userOf(await again.tokens.get()), user, "started again");
    assert.equal(logins, 1, "a ticket needs no login");
    const ended = start(path, options, [[name, `${ticket.slice(0, -4)}AAAA`]], login);
    assert.match(await userOf(await ended.tokens.get()), /^wechat:/);
    assert.equal(logins, 2, "a refused ticket costs one login");
    assert.notEqual(ended.storage.get(name), `${ticket.slice(0, -4)}AAAA`);
    const used = start(path, options, undefined, { login: ({ success }) => (logins++, success({ code: `${unique}-1` })) });
    await assert.rejects(used.tokens.get(), { status: 401, code: "wechat_code_required" });
    assert.ok(logins <= 4, "no storm of logins");
    assert.ok(jscode2session.questions - asked <= 4);
  }
  const guest = start("shop");
  assert.match(await userOf(await guest.tokens.get()), /^visitor:/, "where there are visitors, nobody is asked to log in");
  assert.match(await userOf(await start("shop", { wechat: true }).tokens.get()), /^wechat:/);
  await assert.rejects(start("wechat", { wechat: false }).tokens.get(), { status: 401, code: "unauthenticated" });
});

test("the official SDK calls Coze through a token source", async () => {
  const tokens = tokenSource({ url: service.url, user: "sdk-user" });
  const client = new CozeAPI({ baseURL: sandbox.url, token: tokens.get });
  assert.equal((await client.users.me()).user_name, "sdk-user");
});
