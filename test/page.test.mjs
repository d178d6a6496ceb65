// docs/page.md: its page of four lines in Chromium, on another origin than the service, and its snippets in Node with
// what they import.
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import * as cozeAPI from "@coze/api";
import { build as bundle } from "esbuild";
import { chromium } from "playwright-core";
import * as client from "../client/dist/index.mjs";
import { build, startSandbox, startService } from "./processes.mjs";

const KEY = "ctk_0123456789abcdefghijklmnopqrstuvwxyz";
const documents = ["page.md", "page.zh-CN.md"].map((name) => readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8"));
const blocks = (text, language) => [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))].map(([, code]) => code);
let sandbox, service, browser, pages, origin, html;

before(async () => {
  build();
  sandbox = await startSandbox();
  pages = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<!doctype html><title>page</title><body>${html}`);
  });
  await new Promise((resolve) => pages.listen(0, "localhost", resolve));
  origin = `http://localhost:${pages.address().port}`; // the service is at 127.0.0.1: another site
  const { CLIENT_ID: client_id, KID: kid, PRIVATE_KEY: private_key } = sandbox.settings;
  service = await startService({
    ...sandbox.settings,
    ALLOWED_ORIGINS: origin,
    VISITOR_SECRET: "0123456789-abcdefghijklmnopqrstuvwxyz",
    API_KEYS: `backend=${KEY}`,
    APPS: JSON.stringify({ shut: { client_id, kid, private_key, allowed_origins: "https://www.example.com", open_access: true } }),
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"],
  });
});

after(async () => {
  await browser?.close();
  pages?.close();
  await service?.stop();
  await sandbox?.stop();
});

const at = (code) => code.replaceAll("https://token.example.com/", service.url);

async function userOf(token) {
  const response = await fetch(`${sandbox.url}/v1/users/me`, { headers: { Authorization: `Bearer ${token}` } });
  return (await response.json()).data.user_name;
}

test("the page of four lines has a token", async () => {
  for (const text of documents) {
    [html] = blocks(text, "html").map(at);
    const page = await browser.newPage();
    await page.goto(origin);
    await page.getByText(/The token has \d\d characters/).waitFor({ timeout: 10_000 });
    await page.close();
  }
});

test("a visitor stays the same over reloads, comes back from offline, and reads why a page gets nothing", async () => {
  html = `<script type="module">
    import { tokenSource } from '${service.url}client.js';
    window.source = (path = '') => tokenSource({ url: '${service.url}' + path });
    window.tokens = source();
  </script>`;
  const context = await browser.newContext();
  const page = await context.newPage();
  const ready = () => page.waitForFunction(() => window.tokens);
  await page.goto(origin);
  await ready();
  const get = () => page.evaluate(() => tokens.get().catch((e) => `${e.code}: ${e.message}`));
  const first = await userOf(await get());
  assert.match(first, /^visitor:/);
  await page.reload();
  await ready();
  assert.equal(await userOf(await get()), first);

  await page.evaluate(() => tokens.forget());
  await context.setOffline(true);
  assert.match(await get(), /^offline: /);
  await context.setOffline(false);
  assert.equal(await userOf(await get()), first);

  const refused = await page.evaluate(() => source("shut").get().catch((e) => `${e.code}: ${e.message}`));
  assert.match(refused, /^unreachable: /);
  assert.ok(refused.includes(`ALLOWED_ORIGINS must list ${origin}`), refused);
  const key = await page.evaluate(async (url) => {
    const { tokenSource } = await import(`${url}client.js`);
    try {
      tokenSource({ url, apiKey: "ctk_secret" });
    } catch (e) {
      return e.message;
    }
  }, service.url);
  assert.match(key, /for servers/);
  await context.close();
});

test("the snippets run as they stand", async () => {
  process.env.COZE_TOKEN_KEY = KEY;
  for (const text of documents) {
    const made = [];
    // The SDKs of mini programs and the chat window are stand-ins that ask as the facts about them say.
    const modules = {
      "coze-token-client": client,
      "@coze/api": { ...cozeAPI, CozeAPI: class { constructor(o) { made.push(o.token); return new cozeAPI.CozeAPI({ ...o, baseURL: sandbox.url }); } } },
      "@coze/taro-api": { CozeAPI: class { constructor(o) { made.push(async () => (await o.onBeforeAPICall({})).token); } } },
    };
    const CozeWebSDK = { WebChatClient: class { constructor({ auth }) { made.push(() => auth.onRefreshToken("")); } } };
    for (const code of blocks(text, "js")) {
      const body = at(code).replace(/import (\{.*\}) from '(.*)';/g, "const $1 = modules['$2'];");
      await new (async () => {}).constructor("modules", "CozeWebSDK", "console", body.includes("tokenSource }") ? body : `const { tokenSource } = modules['coze-token-client'];${body}`)(
        modules, CozeWebSDK, { log: (length) => assert.ok(length > 20) },
      );
    }
    assert.equal(made.length, 3);
    for (const token of made) assert.match(await userOf(await token()), /^visitor:/);
  }
});

const python = spawnSync("python3", ["--version"]).status === 0;
test("the Python of the documents runs as it stands", { skip: !python && "there is no python3" }, async () => {
  for (const text of documents) {
    const [code] = blocks(text, "python").map(at);
    const { stdout } = await promisify(execFile)("python3", ["-c", `${code}\nget = token_source("py/小明")\nassert get() == get()\nprint(get(), end="")`], { env: { ...process.env, COZE_TOKEN_KEY: KEY } });
    assert.equal(await userOf(stdout), encodeURIComponent("py/小明"));
  }
});

const java = spawnSync("java", ["--version"]).status === 0;
test("the Java of the documents runs as it stands", { skip: !java && "there is no java" }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "java-"));
  try {
    for (const text of documents) {
      const [code] = blocks(text, "java").map(at);
      const main = `class Main { public static void main(String[] a) throws Exception {
        var tokens = new TokenSource("java/小明 x");
        if (!tokens.get().equals(tokens.get())) throw new Exception("two requests");
        System.out.print(tokens.get()); } }`;
      const file = join(dir, "Main.java");
      writeFileSync(file, code.replace("\n/**", `\n${main}\n/**`));
      const { stdout } = await promisify(execFile)("java", ["-Dfile.encoding=UTF-8", file], { env: { ...process.env, COZE_TOKEN_KEY: KEY } });
      assert.equal(await userOf(stdout), encodeURIComponent("java/小明 x"));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("the official SDK, bundled, chats in a page", async () => {
  const { outputFiles } = await bundle({
    stdin: { contents: `export { CozeAPI } from "@coze/api"; export { tokenSource } from "./client/dist/index.mjs";`, resolveDir: new URL("..", import.meta.url).pathname },
    bundle: true, write: false, format: "iife", globalName: "sdk", platform: "browser", logLevel: "error",
  });
  html = `<p id="said"></p><script>${outputFiles[0].text.replaceAll("</script", "<\\/script")}</script><script>
    const tokens = sdk.tokenSource({ url: '${service.url}' });
    const coze = new sdk.CozeAPI({ baseURL: '${sandbox.url}', token: tokens.get, allowPersonalAccessTokenInBrowser: true });
    (async () => {
      let text = "";
      for await (const { event, data } of coze.chat.stream({ bot_id: "7300", user_id: "u", additional_messages: [{ role: "user", content: "hello", content_type: "text" }] })) {
        if (event === "conversation.message.delta") text += data.content;
      }
      said.textContent = text;
    })().catch((e) => (said.textContent = String(e)));
  </script>`;
  const page = await browser.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => said.textContent);
  assert.match(await page.textContent("#said"), /^You are visitor:\w+\. You said: hello /);
  await page.close();
});

test("the pages of Coze's quickstarts get tokens, with nothing changed but the address", async () => {
  const quickstart = await startService({ ...sandbox.settings, ALLOWED_ORIGINS: origin, OPEN_ACCESS: "on", COMPAT: "quickstart" });
  try {
    html = "";
    const page = await browser.newPage();
    await page.goto(origin);
    const got = await page.evaluate(async (base) => {
      const json = { "Content-Type": "application/json" };
      const ask = async (path, init) => {
        const response = await fetch(base + path, init);
        if (!response.ok) throw new Error(`${path}: ${response.status}`);
        return response.json();
      };
      const { data } = await ask("get_jwt_token", { method: "POST", headers: json }); // coze-js
      const callback = await ask("callback", { method: "GET", headers: { ...json, "X-Requested-With": "XMLHttpRequest" } }); // coze-oauth-quickstart
      return [data, { ...callback, expires_in: Number(callback.expires_in.split(" ")[0]) }];
    }, quickstart.url);
    for (const { access_token, expires_in, token_type } of got) {
      assert.equal(token_type, "Bearer");
      assert.ok(expires_in > Date.now() / 1000, "a page keeps it");
      const me = await fetch(`${sandbox.url}/v1/users/me`, { headers: { Authorization: `Bearer ${access_token}` } });
      assert.equal(me.status, 200);
    }
    await page.close();
  } finally {
    await quickstart.stop();
  }
});

// nginx on a free port of this machine, with these locations.
async function startNginx(locations) {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address();
  await new Promise((resolve) => taken.close(resolve));
  const folder = mkdtempSync(`${tmpdir()}/nginx-`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder};`).join(" ");
  writeFileSync(`${folder}/conf`, `daemon off; pid ${folder}/pid; events {}
    http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; ${locations} } }`);
  const nginx = spawn("nginx", ["-p", folder, "-e", "stderr", "-c", `${folder}/conf`], { stdio: "ignore" });
  const exited = once(nginx, "exit");
  const url = `http://127.0.0.1:${port}/`;
  for (const end = Date.now() + 10_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (await fetch(url).catch(() => false)) break;
    assert.ok(nginx.exitCode === null && Date.now() < end, "nginx does not answer");
  }
  const stop = async () => {
    nginx.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  };
  return { url, stop };
}

const noNginx = spawnSync("nginx", ["-v"]).error ? "there is no nginx" : false;

test("a login behind nginx: renewed when it has ended; nginx's own error page is said to be one", { skip: noNginx }, async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" }] });
  const provider = createServer((_, response) => response.end(keys)).listen(0, "127.0.0.1");
  await once(provider, "listening");
  const issuer = `http://127.0.0.1:${provider.address().port}/`;
  const login = (life) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const text = `${part({ alg: "ES256", kid: "k" })}.${part({ iss: issuer, aud: "page", sub: "alice", iat: now - 900, exp: now + life })}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
  const behind = await startService({ ...sandbox.settings, JWT_ISSUER: issuer, JWT_AUDIENCE: "page", JWKS_URL: issuer });
  let running = true;
  let nginx;
  try {
    nginx = await startNginx(`
      location = / { default_type text/html; return 200 "<!doctype html><title>page</title>"; }
      location = /client.js { proxy_pass ${behind.url}client.js; }
      location = /api/token { proxy_pass ${behind.url}; }`);
    const page = await browser.newPage();
    const ended = login(-300);
    const asked = [];
    await page.exposeFunction("loginToken", (refused) => {
      asked.push(refused);
      return refused ? login(600) : ended;
    });
    await page.goto(nginx.url);
    await page.evaluate(async () => {
      const { tokenSource } = await import("/client.js");
      window.tokens = tokenSource({ url: "/api/token", credential: (refused) => loginToken(refused ?? null) });
    });
    const get = () => page.evaluate(() => tokens.get().catch((e) => `${e.code} ${e.status}: ${e.message}`));
    const token = await get();
    assert.equal(await userOf(token), "alice");
    assert.deepEqual(asked, [null, ended], "the refused login is handed over, once");

    running = false;
    await behind.stop();
    assert.equal(await get(), token, "a token that is good outlives the service");
    await page.evaluate(() => tokens.forget());
    assert.match(await get(), /^not_json 502: .*web page/);
    await page.close();
  } finally {
    await nginx?.stop();
    if (running) await behind.stop();
    provider.closeAllConnections();
    provider.close();
  }
});
