// The code in the documentation, run as it stands there: pages in Chromium, the backend behind the few methods of Express
// that it uses.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { build, startSandbox, startService } from "./processes.mjs";

const KEY = "ctk_0123456789abcdefghijklmnopqrstuvwxyz";
const AsyncFunction = (async () => {}).constructor;

// The one JavaScript example of a document that has all of the texts in it.
function snippet(document, ...texts) {
  const blocks = [...readFileSync(new URL(`../${document}`, import.meta.url), "utf8").matchAll(/```js\n([^]*?)```/g)];
  const found = blocks.map(([, code]) => code).filter((code) => texts.every((text) => code.includes(text)));
  assert.equal(found.length, 1, `${document}: ${found.length} examples have ${texts}`);
  return found[0];
}

// An example's address of the service, replaced by where the service is.
function at(code, url) {
  const moved = code.replace(/'https?:\/\/(token\.|127\.0\.0\.1)[^']*'/, `'${url}'`);
  assert.notEqual(moved, code, "the example names no service");
  return moved;
}

let sandbox, service, login, wechat, browser, page;
const servers = [];

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return `http://127.0.0.1:${server.address().port}`;
}

const html = (response, text = "<!doctype html><title>page</title>") => {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(text);
};
const pages = {}; // what the listed origin serves, by path

before(async () => {
  build();
  sandbox = await startSandbox();
  login = await startLogin();
  wechat = await startWeChat();
  page = await listen((request, response) => html(response, pages[request.url]));
  const { CLIENT_ID: client_id, KID: kid, PRIVATE_KEY: private_key } = sandbox.settings;
  const app = { client_id, kid, private_key, allowed_origins: page };
  service = await startService({
    ...sandbox.settings,
    TRUSTED_PROXIES: "127.0.0.1",
    APPS: JSON.stringify({
      guests: { ...app, visitor_secret: "0123456789-abcdefghijklmnopqrstuvwxyz" },
      users: { ...app, jwt_issuer: login.url, jwt_audience: "page" },
      anybody: app,
      proxied: { client_id, kid, private_key, user_header: "X-Forwarded-User" },
      wechat: { client_id, kid, private_key, wechat_app_id: wechat.id, wechat_app_secret: wechat.secret, wechat_api_base: wechat.url },
      backend: { client_id, kid, private_key, api_keys: `backend=${KEY}` },
      slow: { client_id, kid, private_key, api_keys: `backend=${KEY}`, rate_limit_app: 1 },
    }),
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"],
  });
});

after(async () => {
  await browser?.close();
  servers.forEach((server) => server.close());
  await service?.stop();
  await sandbox?.stop();
});

// A login provider with one user.
async function startLogin() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "ES256" };
  const url = await listen((request, response) => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(request.url === "/keys" ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/keys` }));
  });
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "ES256", kid: "1" })}.${part({ iss: url, aud: "page", sub: "user-1", iat: now, exp: now + 3600 })}`;
  const signature = crypto.sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return { url, token: `${text}.${signature.toString("base64url")}` };
}

// WeChat, as its documentation has it: a code is good once. program is a mini program of a user.
async function startWeChat() {
  const used = new Set();
  const wechat = { id: "wx0123456789abcdef", secret: "0123456789abcdef0123456789abcdef", logins: 0 };
  wechat.url = await listen((request, response) => {
    const asked = new URL(request.url, "http://wechat").searchParams;
    const code = asked.get("js_code");
    let answer = { openid: code.replace(/-.*/, ""), session_key: "c2Vzc2lvbg==" };
    if (asked.get("appid") !== wechat.id || asked.get("secret") !== wechat.secret) answer = { errcode: 40125, errmsg: "invalid appsecret" };
    else if (used.has(code)) answer = { errcode: 40163, errmsg: "code been used" };
    used.add(code);
    response.end(JSON.stringify(answer));
  });
  wechat.program = (openid, storage = new Map()) => ({
    login: ({ success }) => success({ code: `${openid}-${++wechat.logins}` }),
    getStorageSync: (key) => storage.get(key) ?? "",
    setStorageSync: (key, value) => storage.set(key, value),
    removeStorageSync: (key) => storage.delete(key),
    request: ({ url, method, header, data, success, fail }) =>
      fetch(url, { method, headers: header, body: JSON.stringify(data) })
        .then(async (answer) => success({ statusCode: answer.status, header: Object.fromEntries(answer.headers), data: await answer.json() }))
        .catch(fail),
  });
  return wechat;
}

// Opens a page with the script in it.
async function open(origin, script, context) {
  const opened = await (context ?? (await browser.newContext())).newPage();
  await opened.goto(origin);
  await opened.addScriptTag({ content: script });
  return opened;
}

async function userOf(token) {
  const me = await fetch(`${sandbox.url}/v1/users/me`, { headers: { Authorization: `Bearer ${token}` } });
  return (await me.json()).data.user_name;
}

// The backend of an example, where Express would be.
async function startBackend(code) {
  const routes = {};
  const app = { post: (path, ...handlers) => (routes[path] = handlers) };
  const express = {
    json: () => async (request) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      request.body = text && JSON.parse(text);
    },
  };
  const requireLogin = async (request) => {
    request.user = { id: "小明" };
  };
  await new AsyncFunction("app", "express", "requireLogin", "process", code)(app, express, requireLogin, { env: { COZE_TOKEN_KEY: KEY } });
  return listen(async (request, response) => {
    const handlers = routes[request.url];
    if (!handlers) return html(response);
    const res = {
      status: (code) => ((response.statusCode = code), res),
      set: (name, value) => (response.setHeader(name, value), res),
      type: (type) => (assert.equal(type, "json"), res.set("Content-Type", "application/json")),
      send: (text) => response.end(text),
      json: (value) => res.type("json").send(JSON.stringify(value)),
    };
    for (const handle of handlers) await handle(request, res);
  });
}

for (const document of ["docs/access.md", "docs/access.zh-CN.md"]) {
  const functions = () => snippet(document, "function freshToken", "async function cozeToken");

  test(`${document}: a visitor is one visitor, from the first two requests on`, async () => {
    const script = at(snippet(document, "X-Visitor-Ticket", "async function ask"), `${service.url}guests`) + functions();
    const context = await browser.newContext();
    const first = await open(page, script, context);
    const [a, b, c] = await first.evaluate(() => Promise.all([cozeToken(), cozeToken(), freshToken("").then((body) => body.access_token)]));
    assert.ok(a === b && b === c, "one request at a time");
    const user = await userOf(a);
    assert.match(user, /^visitor:/);
    const again = await open(page, script, context);
    assert.equal(await userOf(await again.evaluate(() => cozeToken())), user, "after a reload");
    await again.evaluate(() => localStorage.setItem("coze-visitor-ticket", "1.made.up"));
    assert.match(await userOf(await again.evaluate(async () => (await freshToken("czs_dead")).access_token)), /^visitor:/, "a bad ticket is thrown away");
  });

  test(`${document}: a mini program's user stays the same, and logs in again by itself`, async () => {
    const script = at(snippet(document, "wx.login", "async function ask"), `${service.url}wechat`) + functions();
    const storage = new Map();
    const start = (openid, storage) =>
      new Function("wx", `${script}; return { cozeToken, freshToken };`)(wechat.program(openid, storage));
    const logins = wechat.logins;
    const user = await userOf(await start("oAlice", storage).cozeToken());
    assert.equal(user, `wechat:${crypto.createHash("sha256").update("oAlice").digest("hex")}`);
    assert.equal(await userOf(await start("oAlice", storage).cozeToken()), user, "started again");
    assert.equal(wechat.logins - logins, 1, "a ticket needs no login");
    assert.notEqual(await userOf(await start("oBob").cozeToken()), user);
    storage.set("coze-wechat-ticket", "1.made.up");
    assert.equal(await userOf((await start("oAlice", storage).freshToken("czs_dead")).access_token), user, "a bad ticket is thrown away");
    assert.equal(wechat.logins - logins, 3);
  });

  test(`${document}: a user whom a proxy has logged in`, async () => {
    const script = snippet(document, "fetch('/coze-token'", "async function ask") + functions();
    let loggedIn = true;
    const site = await listen(async (request, response) => { // what nginx does
      if (request.url !== "/coze-token") return html(response);
      if (!loggedIn) return response.writeHead(401).end("<html>");
      const answer = await fetch(`${service.url}proxied`, { method: "POST", headers: { "X-Forwarded-User": "alice" } });
      response.writeHead(answer.status, { "Content-Type": "application/json" }).end(await answer.text());
    });
    const opened = await open(site, `let login = 0; const redirectToLogin = () => { login++; };\n${script}`);
    assert.equal(await userOf(await opened.evaluate(() => cozeToken())), "alice");
    loggedIn = false;
    await opened.evaluate(() => freshToken().catch(() => {}));
    assert.equal(await opened.evaluate(() => login), 1);
  });

  test(`${document}: a user who has logged in`, async () => {
    const script = at(snippet(document, "loginToken()", "async function ask"), `${service.url}users`) + functions();
    const opened = await open(page, `const loginToken = async () => ${JSON.stringify(login.token)};\n${script}`);
    assert.equal(await userOf(await opened.evaluate(() => cozeToken())), "user-1");
  });

  test(`${document}: behind Access the browser asks no preflight`, async () => {
    const asked = [];
    const access = await listen((request, response) => {
      asked.push(request.method);
      response.setHeader("Access-Control-Allow-Origin", page).setHeader("Access-Control-Allow-Credentials", "true");
      response.end('{"access_token":"czs_x","ttl":900}');
    });
    const opened = await open(page, at(snippet(document, "credentials: 'include'", "async function ask"), access) + functions());
    assert.equal(await opened.evaluate(() => cozeToken()), "czs_x");
    assert.deepEqual(asked, ["POST"]);
  });

  test(`${document}: in the open mode a page names its user`, async () => {
    const script = at(snippet(document, "encodeURIComponent(user)", "async function ask"), `${service.url}anybody`) + functions();
    const opened = await open(page, `const user = "小明";\n${script}`);
    assert.equal(await userOf(await opened.evaluate(() => cozeToken())), encodeURIComponent("小明"));
  });
}

for (const document of ["docs/access.md", "docs/access.zh-CN.md"]) {
  const functions = () => snippet(document, "function freshToken", "async function cozeToken");
  const script = () => snippet(document, "fetch('/api/coze-token'") + functions();

  test(`${document}: a page and its backend`, async () => {
    const backend = await startBackend(at(snippet(document, "app.post("), `${service.url}backend`));
    const opened = await open(backend, script());
    assert.equal(await userOf(await opened.evaluate(() => cozeToken())), encodeURIComponent("小明"));
  });

  test(`${document}: a backend passes on when to come back, and outlives the service`, async () => {
    const slow = await startBackend(at(snippet(document, "app.post("), `${service.url}slow`));
    const ask = (url) => fetch(`${url}/api/coze-token`, { method: "POST" });
    let refused = await ask(slow);
    if (refused.status === 200) refused = await ask(slow);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get("Retry-After")) >= 1, "Retry-After");
    assert.equal(refused.headers.get("Cache-Control"), "no-store");

    const alone = await startBackend(at(snippet(document, "app.post("), "http://127.0.0.1:1/"));
    const answer = await ask(alone);
    assert.equal(answer.status, 502);
    assert.equal((await answer.json()).code, "unreachable");
  });

  test(`${document}: what replaced a dead token is used from then on`, async () => {
    const asked = [];
    const ask = async (stale) => {
      asked.push(stale);
      return { access_token: `after ${stale || "nothing"}`, ttl: 900 };
    };
    const { freshToken, cozeToken } = new Function("ask", `${functions()}; return { freshToken, cozeToken };`)(ask);
    assert.equal(await cozeToken(), "after nothing");
    assert.equal(await cozeToken(), "after nothing");
    await Promise.all([freshToken("dead"), freshToken("dead"), freshToken()]);
    await freshToken("dead");
    assert.equal(await cozeToken(), "after dead");
    assert.deepEqual(asked, ["", "dead", "", "dead"]);
  });
}

// The page that a README has people copy.
function pageOf(document) {
  const [, code] = readFileSync(new URL(`../${document}`, import.meta.url), "utf8").match(/```html\n([^]*?)```/);
  return code;
}

// The client comes from the service, whatever stands for it otherwise.
function withClient(code) {
  const moved = code.replace("'http://127.0.0.1:8787/client.js'", `"${service.url}client.js"`);
  assert.notEqual(moved, code, "the page takes no client from the service");
  return moved;
}

// Where the Chat SDK's script would be. Like the SDK, it asks for a token at the start and, when Coze refuses one, again with
// the refused one. Here it does so as often as the test says.
const standIn = `
  window.CozeWebSDK = {
    WebChatClient: class {
      constructor({ config, auth }) {
        if (!config.bot_id || auth.type !== "token") throw new Error("the SDK is started wrongly");
        window.refresh = async (old) => auth.onRefreshToken(old);
        window.started = Promise.all([refresh(""), refresh("")]);
      }
    },
  };`;

for (const document of ["README.md", "README.zh-CN.md"]) {
  test(`${document}: its page gives the Chat SDK tokens of one visitor`, async () => {
    const text = at(withClient(pageOf(document)), `${service.url}guests`);
    const [, sdk] = text.match(/<script src="(https:[^"]+)">/);
    const context = await browser.newContext();
    pages["/index.html"] = text;
    await context.route(sdk, (route) => route.fulfill({ contentType: "text/javascript", body: standIn }));
    const load = async () => {
      const opened = await context.newPage();
      const errors = [];
      opened.on("pageerror", (error) => errors.push(error));
      await opened.goto(`${page}/index.html`);
      assert.deepEqual(errors, []);
      return opened;
    };
    const first = await load();
    const [token, same] = await first.evaluate(() => started);
    assert.equal(token, same, "two calls at the start are one request");
    const user = await userOf(token);
    assert.match(user, /^visitor:/);
    const asked = first.waitForRequest((request) => request.method() === "POST");
    assert.equal(await userOf(await first.evaluate((old) => refresh(old), token)), user);
    assert.deepEqual((await asked).postDataJSON(), { stale_token: token }, "the service is told which token was refused");

    const again = await load();
    assert.equal(await userOf((await again.evaluate(() => started))[0]), user, "after a reload");
    await again.evaluate(() => { for (const key of Object.keys(localStorage)) localStorage.setItem(key, "1.made.up"); });
    const last = await load();
    assert.match(await userOf((await last.evaluate(() => started))[0]), /^visitor:/, "a bad ticket is thrown away");
  });

  test(`${document}: its page says what the service's proxy says, if that is no JSON`, async () => {
    const proxy = await listen((_, response) => {
      response.setHeader("Access-Control-Allow-Origin", "*").setHeader("Access-Control-Allow-Headers", "X-Visitor-Ticket");
      response.statusCode = _.method === "OPTIONS" ? 204 : 502;
      response.end("<html>502 Bad Gateway</html>");
    });
    const text = at(withClient(pageOf(document)), proxy);
    pages["/index.html"] = text.replace(/<script src="[^"]+">/, `<script>${standIn}`);
    const opened = await (await browser.newContext()).newPage();
    await opened.goto(`${page}/index.html`);
    const said = await opened.evaluate(() => started.then(String, String));
    assert.match(said, /502/);
    assert.match(said, /proxy|HTML/);
  });
}

test("the page of the READMEs is the same one", () => {
  const [english, chinese] = ["README.md", "README.zh-CN.md"].map((document) => pageOf(document).replaceAll(/ +\/\/ .*$/gm, ""));
  assert.equal(english, chinese);
});
