// What crosses the bridge, in workerd: requests, answers, bodies, signatures, logs.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { after, before, test } from "node:test";
import net from "node:net";
import zlib from "node:zlib";
import { listen } from "./upstream.mjs";
import { buildModule, eventually, start } from "./workerd.mjs";

const keys = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const PRIVATE_KEY = String(keys.privateKey.export({ type: "pkcs8", format: "pem" }));

/** Variables as wrangler.jsonc may have them, and what Go sees of each. @type {Record<string, [unknown, string]>} */
const VARS = {
  TEXT: ["héllo 用户", "héllo 用户"],
  NUMBER: [2, "2"],
  LONG_NUMBER: [7480123456789012345, "[not text]"],
  YES: [true, "true"],
  NO: [false, "false"],
  LIST: [[{ issuer: "https://a.example" }], '[{"issuer":"https://a.example"}]'],
  OBJECT: [{ a: { b: "用户" } }, '{"a":{"b":"用户"}}'],
  NULL: [null, "[not text]"],
};

/** @type {Awaited<ReturnType<typeof start>>} */
let worker;
/** @type {string} */
let module;

before(async () => {
  module = buildModule();
  const vars = Object.fromEntries(Object.entries(VARS).map(([name, [value]]) => [name, value]));
  worker = await start({ module, vars: { PRIVATE_KEY, ...vars } });
});
after(() => worker?.stop());

/** @param {Response} response */
const got = (response) => JSON.parse(Buffer.from(response.headers.get("x-got") ?? "", "base64").toString("utf8"));

/**
 * Sends bytes that no HTTP library would.
 * @param {Buffer[]} parts
 */
const raw = (...parts) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(worker.port, "127.0.0.1");
    /** @type {Buffer[]} */
    const answer = [];
    socket.on("data", (data) => answer.push(data)).on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(answer).toString("latin1")));
    socket.write(Buffer.concat(parts));
  });

/**
 * Sends a header's bytes and returns what Go sees of them.
 * @param {Buffer} value
 */
async function header(value) {
  const answer = await raw(
    Buffer.from("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nX-Odd: "),
    value,
    Buffer.from("\r\nX-Twice: a\r\nX-Twice: b\r\nX-Empty:\r\n\r\n"),
  );
  const found = /x-got: (\S+)/i.exec(answer);
  assert.ok(found, answer);
  return JSON.parse(Buffer.from(found[1], "base64").toString("utf8"));
}

test("the request line, host, headers and client address reach the handler", async () => {
  const response = await fetch(`${worker.url}/echo?q=a%20b&r=%E7%94%A8`, {
    method: "PUT",
    headers: { "X-User-ID": "u1", "CF-Connecting-IP": "2001:db8::1" },
    body: "x",
  });
  const seen = got(response);
  assert.equal(seen.method, "PUT");
  assert.equal(seen.uri, "/echo?q=a%20b&r=%E7%94%A8");
  assert.equal(seen.path, "/echo");
  assert.equal(seen.host, `127.0.0.1:${worker.port}`);
  assert.equal(seen.length, "1");
  assert.equal(seen["header X-User-Id"], "u1");
  assert.equal(seen.remote, "[2001:db8::1]:0");
});

test("header values arrive byte for byte if they are UTF-8", async () => {
  const seen = await header(Buffer.from("é用户 😀"));
  assert.equal(seen["header X-Odd"], "é用户 😀");
  assert.equal(seen["header X-Twice"], "a, b", "the platform joins repeated headers");
  assert.equal(seen["header X-Empty"], "");
});

test("bytes of a header that are not UTF-8 arrive as U+FFFD", async () => {
  assert.equal((await header(Buffer.from([0x61, 0xe9, 0x62])))["header X-Odd"], "a\ufffdb");
  assert.equal((await header(Buffer.from([0xc3, 0xa9, 0xff, 0x80])))["header X-Odd"], "é\ufffd\ufffd");
});

test("binary bodies survive both ways", async () => {
  const body = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  const response = await fetch(`${worker.url}/echo`, { method: "POST", body });
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
  assert.equal(got(response).length, "1000");
});

test("a body over the cap is an *http.MaxBytesError, with and without a length", async () => {
  const long = await fetch(`${worker.url}/echo`, { method: "POST", body: new Uint8Array(1001) });
  assert.equal(long.status, 413);
  assert.equal(long.headers.get("x-limit"), "1000");
  for (const [size, status] of [
    [1001, 413],
    [1000, 200],
  ]) {
    const chunked = await fetch(`${worker.url}/echo`, {
      method: "POST",
      body: new Blob([new Uint8Array(size)]).stream(),
      duplex: "half",
    });
    assert.equal(chunked.status, status);
    await chunked.arrayBuffer();
  }
});

test("what the handler has encoded is encoded once", async () => {
  const response = await fetch(`${worker.url}/packed`);
  assert.equal(response.headers.get("content-encoding"), "gzip");
  assert.equal(await response.text(), "plain");
});

test("a body that is not read is not carried, and the connection goes on", async () => {
  for (let i = 0; i < 3; i++) {
    const response = await fetch(`${worker.url}/hello`, { method: "POST", body: new Uint8Array(100_000) });
    assert.equal(response.status, 200);
    await response.text();
  }
});

test("answers keep repeated headers, UTF-8 and bytes, and cannot be split", async () => {
  const response = await fetch(`${worker.url}/headers`);
  assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.equal(Buffer.from(response.headers.get("x-text") ?? "", "latin1").toString("utf8"), "é用户");
  assert.equal(response.headers.get("x-injected"), null);
  assert.equal(response.headers.get("x-split"), "a  X-Injected: b");
  assert.equal(response.headers.get("content-type"), "application/octet-stream");
  assert.equal(response.headers.get("content-length"), "4");
  assert.deepEqual([...new Uint8Array(await response.arrayBuffer())], [0, 1, 0xff, 0xfe]);
});

test("every status a handler may set arrives, with a body only where one may be", async () => {
  for (const [code, status, body] of [
    [200, 200, "body"],
    [204, 204, ""],
    [205, 205, ""],
    [304, 304, ""],
    [404, 404, "body"],
    [599, 599, "body"],
    [100, 200, "body"],
    [600, 500, "body"],
  ]) {
    const response = await fetch(`${worker.url}/status?code=${code}`);
    assert.equal(response.status, status);
    assert.equal(await response.text(), body);
  }
  const head = await fetch(`${worker.url}/hello`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
});

test("fetch carries the request and the answer, and follows nothing", async () => {
  const upstream = await listen(async (request, response) => {
    if (request.url === "/redirect") return response.writeHead(302, { Location: "/" }).end();
    const gzip = { "Content-Encoding": "gzip" };
    if (request.url === "/gzip") return response.writeHead(200, gzip).end(zlib.gzipSync("plain"));
    if (request.url === "/bomb") {
      const packed = zlib.gzipSync(Buffer.alloc((1 << 20) + 1));
      return response.writeHead(200, { ...gzip, "Content-Length": packed.length }).end(packed);
    }
    if (request.url === "/long") return response.end(Buffer.alloc((1 << 20) + 1));
    let body = "";
    for await (const chunk of request) body += chunk;
    const { authorization, "user-agent": agent } = request.headers;
    response.writeHead(201, [
      ["X-Repeated", "é"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ].flat().map((text) => Buffer.from(text).toString("latin1")));
    response.end(JSON.stringify({ method: request.method, authorization, agent, body }));
  });
  /** @param {string} path */
  const ask = (path) => fetch(`${worker.url}/fetch?url=${encodeURIComponent(upstream.url + path)}`);
  try {
    const response = await ask("/");
    assert.equal(response.headers.get("x-status"), "201 Created");
    assert.equal(Buffer.from(response.headers.get("x-upstream") ?? "", "latin1").toString(), "é|a=1|b=2");
    assert.deepEqual(await response.json(), {
      method: "POST",
      authorization: "Bearer secret",
      agent: "testworker",
      body: "question",
    });
    assert.equal((await ask("/redirect")).headers.get("x-status"), "302 Found");
    const unpacked = await ask("/gzip");
    assert.equal(await unpacked.text(), "plain");
    assert.equal(unpacked.headers.get("x-encoding"), "");
    for (const path of ["/long", "/bomb"]) {
      const long = await ask(path);
      assert.equal(long.status, 502, path);
      assert.match(await long.text(), /request body too large/);
    }
  } finally {
    await upstream.stop();
  }
});

test("a fetch that fails says why, and no secret", async () => {
  const url = "http://127.0.0.1:1/path?token=hidden";
  const response = await fetch(`${worker.url}/fetch?url=${encodeURIComponent(url)}`);
  assert.equal(response.status, 502);
  const text = await response.text();
  assert.match(text, /^worker: fetch from 127\.0\.0\.1:1: \S/);
  assert.doesNotMatch(text, /hidden|secret|path/);
});

test("WebCrypto's signatures are RSASSA-PKCS1-v1_5 with SHA-256", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const message = `message ${i}`;
      const response = await fetch(`${worker.url}/sign`, { method: "POST", body: message });
      const signature = Buffer.from(await response.text(), "base64");
      return crypto.verify("sha256", Buffer.from(message), keys.publicKey, signature);
    }),
  );
  assert.deepEqual(answers, Array(20).fill(true));
});

test("a key that the platform refuses is an error", async () => {
  const other = await start({ module });
  try {
    const response = await fetch(`${other.url}/sign`, { method: "POST", body: "x" });
    assert.equal(response.status, 502);
    assert.match(await response.text(), /^worker: import the signing key: the platform refused it/);
  } finally {
    await other.stop();
  }
});

test("variables are Go's environment, and no effect is possible at start", async () => {
  for (const [name, [, text]] of Object.entries(VARS)) {
    const seen = await (await fetch(`${worker.url}/env?name=${name}`)).text();
    assert.equal(seen, `${text} ${text} worker: fetch from 127.0.0.1: worker: not possible before the first request`);
  }
});

test("slog's records are objects in the Worker's logs", async () => {
  await fetch(`${worker.url}/log`);
  const find = (/** @type {string} */ msg) => worker.logs().find((line) => line.message.includes(`msg: '${msg}'`));
  await eventually(() => find("output of the Go program"));
  assert.equal(find("debugged").level, "debug");
  assert.match(find("debugged").message, /^\{ level: 'DEBUG', msg: 'debugged', service: 'test', n: 1 \}$/);
  assert.match(find("informed").message, /user: '用户',\s+g: \{ took: 1000000000 \}/);
  assert.equal(find("warned").level, "warn");
  assert.match(find("warned").message, /in: \{ list: \[ 1, 2 \] \}/);
  assert.equal(find("failed").level, "error");
});

test("Go's clock never goes back", async () => {
  assert.equal(await (await fetch(`${worker.url}/clock`)).text(), "0");
});

test("only the named headers are carried", async () => {
  const other = await start({ module, vars: { HEADERS: "x-user-id X-Odd" } });
  try {
    const response = await fetch(`${other.url}/echo`, {
      headers: { "X-User-ID": "u", "x-odd": "o", "X-Other": "no", "CF-Connecting-IP": "192.0.2.1" },
    });
    const seen = got(response);
    assert.deepEqual(
      Object.keys(seen).filter((name) => name.startsWith("header ")),
      ["header Cf-Connecting-Ip", "header X-Odd", "header X-User-Id"],
    );
    assert.equal(seen["header X-User-Id"], "u");
    assert.equal(seen.remote, "192.0.2.1:0");
  } finally {
    await other.stop();
  }
});

test("no random byte is handed out twice", async () => {
  const texts = new Set(); // of 26 bytes each: several pools of the host's
  for (let i = 0; i < 500; i++) texts.add(await (await fetch(`${worker.url}/random`)).text());
  assert.equal(texts.size, 500);
});

test("nothing random is the same in two isolates, and none may be drawn at start", async () => {
  const isolates = await Promise.all([1, 2, 3].map(() => start({ module })));
  try {
    const drawn = await Promise.all(isolates.map(async ({ url }) => (await fetch(`${url}/random`)).text()));
    assert.equal(new Set(drawn).size, 3);
  } finally {
    await Promise.all(isolates.map(({ stop }) => stop()));
  }
  await assert.rejects(start({ module, vars: { RANDOM_AT_START: "1" } }), /did not start/);
});
