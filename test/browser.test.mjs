// Pages in a real browser, Chromium, on several origins: what they get from the service, what they can read, and what they
// are refused. That the service sends the right headers is the contract's business (internal/contract); here a browser is the judge.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { build, startSandbox, startService } from "./processes.mjs";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium"; // Debian's
const args = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let sandbox, service, browser, listed, unlisted, wildcard;
const servers = [];

// A page of its own origin. What it runs is the test's; its path does not matter.
async function servePages(host) {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end("<!doctype html><title>page</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return `http://${host}:${server.address().port}`;
}

before(async () => {
  assert.ok(existsSync(executablePath), `there is no ${executablePath}: apt-get install chromium, or set CHROMIUM to where it is`);
  build();
  sandbox = await startSandbox();
  listed = await servePages("127.0.0.1");
  unlisted = await servePages("localhost");
  wildcard = await servePages("one.pages.localhost");
  const { CLIENT_ID: client_id, KID: kid, PRIVATE_KEY: private_key } = sandbox.settings;
  const app = { client_id, kid, private_key, allowed_origins: [listed, `http://*.pages.localhost:${new URL(wildcard).port}`] };
  service = await startService({
    ...sandbox.settings,
    APPS: JSON.stringify({
      anybody: app,
      guests: { ...app, visitor_secret: "0123456789-abcdefghijklmnopqrstuvwxyz" },
      backend: { ...app, api_keys: "page=ctk_0123456789abcdefghijklmnopqrstuvwxyz" },
      slow: { ...app, rate_limit_app: 1 },
      closed: { client_id, kid, private_key },
    }),
  });
  browser = await chromium.launch({ executablePath, args });
});

after(async () => {
  await browser?.close();
  servers.forEach((server) => server.close());
  await service?.stop();
  await sandbox?.stop();
});

// Opens a page in a browser profile of its own, or in the one given.
async function open(origin, context) {
  const page = await (context ?? (await browser.newContext())).newPage();
  await page.goto(`${origin}/`);
  return page;
}

// Asks for a token from within a page: what its script sees.
const ask = (page, app, init = {}) =>
  page.evaluate(
    async ([url, init]) => {
      try {
        const response = await fetch(url, { method: "POST", ...init });
        return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.json() };
      } catch (error) {
        return { error: `${error}` };
      }
    },
    [service.url + app, init],
  );

// Whose token it is, by what Coze would tell.
async function userOf({ status, body }) {
  assert.equal(status, 200, JSON.stringify(body));
  const me = await fetch(`${sandbox.url}/v1/users/me`, { headers: { Authorization: `Bearer ${body.access_token}` } });
  return (await me.json()).data.user_name;
}

const exchanges = async () => (await (await fetch(`${sandbox.url}/sandbox/exchanges`)).json()).count;

test("a page of a listed origin gets a token for its user, through a preflight", async () => {
  for (const origin of [listed, wildcard]) {
    const page = await open(origin);
    const answer = await ask(page, "anybody", { headers: { "X-User-ID": "page-user", "Content-Type": "application/json" }, body: "{}" });
    assert.equal(await userOf(answer), "page-user");
    assert.match(answer.headers["x-request-id"], /^[A-Z2-7]{26}$/, "the page can read headers");
    assert.equal(await userOf(await ask(page, "backend", { headers: { "X-API-Key": "ctk_0123456789abcdefghijklmnopqrstuvwxyz", "X-User-ID": "by-key" } })), "by-key");
  }
});

test("a page of an unlisted origin gets nothing, preflight or not", async () => {
  const page = await open(unlisted);
  const before = await exchanges();
  for (const init of [{}, { headers: { "X-User-ID": "page-user" } }, { credentials: "include" }]) {
    for (const app of ["anybody", "guests", "closed"]) {
      if (app === "closed" && !init.headers) continue; // the original's service: it answers, and the page cannot read it
      assert.match((await ask(page, app, init)).error ?? "an answer", /Failed to fetch/, `${app} ${JSON.stringify(init)}`);
    }
  }
  const opaque = await page.evaluate((url) => fetch(url, { method: "POST", mode: "no-cors" }).then((r) => r.type), `${service.url}anybody`);
  assert.equal(opaque, "opaque");
  assert.equal(await exchanges(), before, "Coze was asked for an unlisted page");
});

test("a sandboxed frame, whose origin is null, gets nothing", async () => {
  const page = await open(listed);
  const seen = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        addEventListener("message", ({ data }) => resolve(data));
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = `<script>fetch(${JSON.stringify(url)}, { method: "POST" }).then((r) => r.status, String).then((data) => parent.postMessage(origin + " " + data, "*"))</script>`;
        document.body.append(frame);
      }),
    `${service.url}anybody`,
  );
  assert.match(seen, /^null TypeError: Failed to fetch/);
});

// What docs recommend to pages on another site: the ticket is kept with the page's own data.
async function asVisitor(page, init = {}) {
  const ticket = await page.evaluate(() => localStorage.getItem("coze-visitor") ?? "new");
  const answer = await ask(page, "guests", { ...init, headers: { "X-Visitor-Ticket": ticket, ...init.headers } });
  const next = answer.headers?.["x-visitor-ticket"];
  if (next) await page.evaluate((next) => localStorage.setItem("coze-visitor", next), next);
  return answer;
}

test("a visitor with a ticket stays the same from page load to page load, and is nobody else", async () => {
  const context = await browser.newContext();
  const page = await open(listed, context);
  const first = await userOf(await asVisitor(page));
  assert.match(first, /^visitor:/);
  await page.reload();
  assert.equal(await userOf(await asVisitor(page)), first, "after a reload");
  assert.equal(await userOf(await asVisitor(await open(listed, context))), first, "in another tab");

  const other = await userOf(await asVisitor(await open(listed)));
  assert.match(other, /^visitor:/);
  assert.notEqual(other, first, "another browser is another visitor");

  const refused = await asVisitor(page, { headers: { "X-User-ID": other } });
  assert.equal(refused.status, 403, "a visitor cannot name another");
});

test("a page of the service's own site is a visitor by cookie, without any code", async () => {
  const context = await browser.newContext();
  const page = await open(listed, context); // another port of one host is another origin, and the same site
  const first = await ask(page, "guests", { credentials: "include" });
  const [cookie] = await context.cookies(service.url);
  assert.ok(cookie?.name.startsWith("__Host-") && cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie?.name));
  await page.reload();
  assert.equal(await userOf(await ask(page, "guests", { credentials: "include" })), await userOf(first));
  assert.notEqual(await userOf(await ask(page, "guests")), await userOf(first), "without credentials it is another visitor");
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the cookie");

  const other = await ask(await open(wildcard, context), "guests", { credentials: "include" });
  assert.match(other.error ?? "an answer", /Failed to fetch/, "a page below a wildcard may not ask with cookies");
  const guest = await ask(await open(wildcard, context), "guests");
  assert.ok(guest.headers["x-visitor-ticket"], "a page of another site is given a ticket unasked");
  assert.equal((await context.cookies(service.url))[0].value, cookie.value, "and leaves the cookie alone");
});

test("a visitor's ticket that is wrong is refused, in words that the page can read", async () => {
  const page = await open(listed);
  const { status, headers, body } = await ask(page, "guests", { headers: { "X-Visitor-Ticket": "1.made.up" } });
  assert.equal(status, 401);
  assert.equal(body.code, "unauthenticated");
  assert.equal(headers["x-request-id"], body.request_id);
  assert.match(headers["www-authenticate"], /Visitor/);
});

test("a page that asks too often can read when to come back", async () => {
  const page = await open(listed);
  assert.equal((await ask(page, "slow")).status, 200);
  const { status, headers, body } = await ask(page, "slow");
  assert.equal(status, 429);
  assert.ok(Number(headers["retry-after"]) >= 1, `Retry-After is ${headers["retry-after"]}`);
  assert.match(headers.ratelimit, /^"app";r=0;/);
  assert.equal(headers["x-request-id"], body.request_id);
});
