// The Worker as a developer runs it: wrangler dev, with settings in a file like .dev.vars.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

/** Starts `wrangler dev` with the lines of an env file, and returns its URL. */
async function dev(t, lines) {
  const dir = mkdtempSync(path.join(tmpdir(), "coze-token-dev-"));
  const file = path.join(dir, "vars");
  writeFileSync(file, lines.join("\n") + "\n");
  const args = ["dev", "--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--env-file", file];
  const child = spawn("wrangler", args, { detached: true, env: { ...process.env, CI: "1" } });
  t.after(() => {
    process.kill(-child.pid, "SIGKILL"); // workerd too
    rmSync(dir, { recursive: true, force: true });
  });
  let output = "";
  return await new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      const ready = /Ready on (http:\S+)/.exec(output);
      if (ready) resolve(ready[1]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", () => reject(new Error(`wrangler dev ended: ${output}`)));
  });
}

test("a setting that is no secret of the app counts in .dev.vars", { timeout: 120_000 }, async (t) => {
  // Were the line dropped, the service would be open, and nothing would say why.
  const url = await dev(t, ["CLIENT_ID=1", "KID=k", "PRIVATE_KEY=x", "API_KEYS=not-a-key"]);
  const response = await fetch(url, { method: "POST" });
  const answer = await response.json();
  assert.equal(answer.code, "misconfigured");
  assert.match(answer.error, /PRIVATE_KEY.*API_KEYS/);
});
