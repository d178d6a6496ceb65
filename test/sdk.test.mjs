// The official SDK, @coze/api, against the sandbox and the service: its JWT code is not ours, and neither is its idea of
// what Coze's token endpoint takes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CozeAPI, getJWTToken } from "@coze/api";
import { tokenSource } from "../client/dist/index.mjs";
import { build, startSandbox, startService } from "./processes.mjs";

let sandbox, service;

before(async () => {
  build();
  sandbox = await startSandbox();
  service = await startService(sandbox.settings);
});

after(async () => {
  await service?.stop();
  await sandbox?.stop();
});

const sdkToken = (options = {}) =>
  getJWTToken({
    baseURL: sandbox.url,
    appId: sandbox.settings.CLIENT_ID,
    keyid: sandbox.settings.KID,
    privateKey: sandbox.settings.PRIVATE_KEY,
    aud: sandbox.settings.AUDIENCE,
    ...options,
  });

async function serviceToken(session) {
  const response = await fetch(service.url, { method: "POST", headers: session ? { "X-User-ID": session } : {} });
  assert.equal(response.status, 200);
  return response.json();
}

const exchanges = async () => (await fetch(`${sandbox.url}/sandbox/exchanges`)).json();

async function issued(token) {
  const response = await fetch(`${sandbox.url}/sandbox/issued`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200);
  return response.json();
}

test("the sandbox accepts the official SDK", async () => {
  const token = await sdkToken({ sessionName: "sdk-user", durationSeconds: 600 });
  const issue = await issued(token.access_token);
  assert.equal(issue.session_name, "sdk-user");
  assert.ok(token.expires_in > Date.now() / 1000, "expires_in is absolute");
});

test("the sandbox refuses the official SDK what Coze would", async () => {
  await assert.rejects(sdkToken({ keyid: "A".repeat(43) }), (error) => {
    assert.equal(error.status, 401);
    assert.match(JSON.stringify(error), /kid not been registred/);
    return true;
  });
  await assert.rejects(sdkToken({ aud: "api.coze.com" }));
});

test("the service's exchange is the official SDK's, field for field", async () => {
  await sdkToken({ sessionName: "same-user", durationSeconds: 900 });
  const sdk = (await exchanges()).requests.at(-1);
  await serviceToken("same-user");
  const ours = (await exchanges()).requests.at(-1);

  assert.notEqual(ours.claims.jti, sdk.claims.jti);
  assert.deepEqual(ours.jwt_header, sdk.jwt_header);
  for (const [name, value] of Object.entries(sdk.claims)) {
    assert.equal(typeof ours.claims[name], typeof value, `the claim ${name}`);
  }
  const timeless = ({ iat, exp, jti, ...claims }) => ({ ...claims, life: exp - iat });
  assert.deepEqual(timeless(ours.claims), timeless(sdk.claims));
  assert.equal(ours.path, sdk.path);
  assert.deepEqual(JSON.parse(ours.body), JSON.parse(sdk.body));
  assert.equal(ours.header["Content-Type"][0].split(";")[0], sdk.header["Content-Type"][0].split(";")[0]);
});

test("a CozeAPI client whose token comes from the service calls Coze with it", async () => {
  let handedOut;
  const client = new CozeAPI({
    baseURL: sandbox.url,
    token: async () => (handedOut = (await serviceToken("page-user")).access_token),
  });
  const me = await client.users.me();
  assert.equal(me.user_name, "page-user", "the sandbox names a token's session as its user");
  assert.equal((await issued(handedOut)).session_name, "page-user");
});

test("a page's session survives encodeURIComponent", async () => {
  await assert.rejects(serviceToken("小明"), TypeError, "fetch takes no such header, which the documentation says");
  const { token } = await serviceToken(encodeURIComponent("小明"));
  assert.equal((await issued(token)).session_name, "%E5%B0%8F%E6%98%8E");
});

test("the official SDK chats through a token source, over the end of tokens, and users do not see each other", async () => {
  const short = await startService({ ...sandbox.settings, TOKEN_DURATION: "2" });
  try {
    const used = new Set();
    const as = (user) => {
      const tokens = tokenSource({ url: short.url, user });
      return new CozeAPI({ baseURL: sandbox.url, token: async () => (await tokens.get().then((t) => (used.add(t), t))) });
    };
    const [alice, bob] = [as("alice"), as("bob")];
    const { id } = await alice.conversations.create({ bot_id: "7300" });
    const say = async (content) => {
      let text = "";
      const events = [];
      for await (const part of alice.chat.stream({ bot_id: "7300", user_id: "u", conversation_id: id, additional_messages: [{ role: "user", content, content_type: "text" }] })) {
        events.push(part.event);
        if (part.event === "conversation.message.delta") text += part.data.content;
      }
      assert.equal(events.at(-1), "done");
      return text;
    };
    assert.match(await say("first"), /^You are alice\. You said: first /);
    const began = performance.now();
    while (performance.now() - began < 3000) assert.match(await say("more"), /Before that: .*(first|more)/);
    assert.ok(used.size >= 2, "the token did not end in the middle");
    assert.ok((await alice.conversations.messages.list(id, { order: "asc" })).data.length > 2);
    await assert.rejects(bob.conversations.messages.list(id), { status: 404 });
    const { chat, messages } = await bob.chat.createAndPoll({ bot_id: "7300", additional_messages: [{ role: "user", content: "hi", content_type: "text" }] });
    assert.equal(chat.status, "completed");
    assert.match(messages[0].content, /^You are bob\. You said: hi \(That is the first/);
    assert.equal((await bob.bots.retrieve({ bot_id: "7300" })).bot_id, "7300");
    await assert.rejects(bob.bots.retrieve({ bot_id: "4101" }), { status: 403, code: 4101 });
  } finally {
    await short.stop();
  }
});
