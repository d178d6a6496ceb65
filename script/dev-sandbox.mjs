// The Worker on this machine with the sandbox in Coze's place: `npm run dev:sandbox`, with further arguments for `wrangler dev`
// after --. It needs no account and no Coze app, and leaves nothing behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build, startSandbox } from "../test/processes.mjs";

build();
const sandbox = await startSandbox();
const { CLIENT_ID, KID, PRIVATE_KEY, TOKEN_ENDPOINT } = sandbox.settings;
console.log(`Everything here is pretended: "Coze" is a sandbox at ${sandbox.url}, the app and its key were made a moment ago.`);

// Outside the clone, so that no later `npm run dev` takes the made-up key for a real one.
const dir = mkdtempSync(path.join(tmpdir(), "coze-token-"));
const file = path.join(dir, "sandbox.env");
const settings = Object.entries({ CLIENT_ID, KID, TOKEN_ENDPOINT, PRIVATE_KEY: PRIVATE_KEY.replaceAll("\n", "\\n") });
writeFileSync(file, settings.map(([name, value]) => `${name}="${value}"\n`).join(""), { mode: 0o600 });

const wrangler = spawn("wrangler", ["dev", "--env-file", file, ...process.argv.slice(2)], {
  stdio: "inherit",
  shell: process.platform === "win32",
});
// Ctrl-C reaches wrangler too, and everything else ends after it.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => wrangler.kill());
try {
  const [code] = await once(wrangler, "exit");
  process.exitCode = code ?? 0;
} finally {
  rmSync(dir, { recursive: true });
  await sandbox.stop();
}
