// Builds dist/ from src/: node client/build.mjs [folder]. What it writes is committed: the Go module embeds it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = process.argv[2] ?? `${here}dist`;

mkdirSync(dist, { recursive: true });
for (const [format, file] of [["esm", "index.mjs"], ["cjs", "index.js"]]) {
  await build({
    entryPoints: [`${here}src/index.ts`],
    outfile: `${dist}/${file}`,
    bundle: true,
    minify: true,
    format,
    target: "es2018", // the tools of mini programs read no newer syntax
    legalComments: "none",
    banner: { js: "/* coze-token-client, MIT licence */" },
  });
}
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
execFileSync(process.execPath, [`${typescript}/bin/tsc`, "-p", here, "--outDir", dist], { stdio: "inherit" });
// index.d.ts names nothing of the other files.
copyFileSync(`${dist}/index.d.ts`, `${dist}/index.d.mts`);
rmSync(`${dist}/platform.d.ts`, { force: true });
