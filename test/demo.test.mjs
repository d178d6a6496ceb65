// The page of coze-token demo in Chromium: three panes that chat and do not see each other, renewal, each fault.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { build, startDemo } from "./processes.mjs";

let demo, browser;
before(async () => {
  build();
  demo = await startDemo();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"] });
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

async function open(options) {
  const page = await (await browser.newContext(options)).newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(demo.url);
  await page.locator("section").nth(2).locator("dd").first().getByText("visitor:").waitFor();
  return { page, problems, pane: (i) => page.locator("section").nth(i) };
}
const say = async (pane, text) => {
  const bubbles = pane.locator(".chat > div:not(.me)");
  const n = await bubbles.count();
  await pane.locator("input").fill(text);
  await pane.locator("input").press("Enter");
  await bubbles.nth(n).getByText(/[).]$/).waitFor();
  return bubbles.nth(n).textContent();
};

// picture leaves a screenshot in out/, and says where.
async function picture(page, name) {
  const path = `out/demo, ${name}.png`;
  await page.screenshot({ path, fullPage: true });
  console.log(`screenshot: ${path}`);
}

test("three panes chat, and do not see each other", async () => {
  const { page, pane, problems } = await open({ locale: "en-US" });
  assert.match(await say(pane(0), "a secret"), /^You are user-1\. You said: a secret \(That is the first/);
  assert.match(await say(pane(1), "hi"), /^You are user-2\. You said: hi \(That is the first/);
  assert.match(await say(pane(2), "hi"), /^You are visitor:\w+\. You said: hi \(That is the first/);
  assert.match(await say(pane(0), "more"), /Before that: a secret/);
  await pane(0).locator("summary").click();
  assert.equal(JSON.parse(await pane(0).locator("pre").textContent()).claims.session_name, "user-1");
  await page.getByRole("button", { name: "中文" }).click();
  assert.equal(await pane(2).locator("h2").textContent(), "访客");
  assert.deepEqual(problems, []);
  await picture(page, "three panes, Chinese");
});

test("a revoked token is replaced in the middle of a chat, and one that runs out is renewed", async () => {
  const { page, pane, problems } = await open({ locale: "zh-CN", viewport: { width: 360, height: 700 } });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "wider than a phone");
  const token = () => pane(0).locator("dd").nth(1).textContent();
  // The service replaces no token that is younger than ten seconds. After twenty it renews this one by itself.
  await page.waitForFunction(() => Number.parseInt(document.querySelectorAll("section:first-child dd")[2].textContent) === 17, null, { timeout: 60_000 });
  const first = await token();
  await pane(0).getByRole("button", { name: "吊销令牌" }).click();
  await page.locator("#log", { hasText: "吊销令牌" }).waitFor();
  assert.match(await say(pane(0), "again"), /You said: again/);
  const second = await token();
  assert.notEqual(second, first);
  await page.waitForFunction((old) => document.querySelectorAll("section:first-child dd")[1].textContent !== old, second, { timeout: 40_000 });
  await picture(page, "a phone");
  assert.deepEqual(problems, []);
});

test("each fault shows what a user's page would see", async () => {
  const { page, pane } = await open({ locale: "en-US", colorScheme: "dark" });
  const bad = (seen) => pane(0).locator(".bad", { hasText: seen }).first();
  for (const [name, told] of [
    ["Coze is slow", page.locator("#log", { hasText: /user-1: .* 200 .*\(4\d\d\d ms\)/ })],
    ["Coze is down", bad(/upstream_unavailable/)],
    ["Key unknown", bad(/upstream_rejected/)],
  ]) {
    await page.getByRole("button", { name }).click();
    await page.locator("#log", { hasText: name }).waitFor();
    for (const began = Date.now(); !(await told.isVisible()); ) { // a token is replaced once in ten seconds
      assert.ok(Date.now() - began < 40_000, `${name} is not seen`);
      await pane(0).getByRole("button", { name: "Replace token" }).click();
      await told.waitFor({ timeout: 6000 }).catch(() => {});
    }
  }
  await page.getByRole("button", { name: "Coze is well" }).click();
  await picture(page, "faults, dark");
});
