// The manifests are valid by the types of the Kubernetes API and of Prometheus' operator: by their JSON schemas, and by
// their TypeScript types, which also refuse a member that does not exist.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

const root = fileURLToPath(new URL("..", import.meta.url));
const skip = spawnSync("kubectl", ["version", "--client"]).error && "there is no kubectl on PATH";
mkdirSync(`${root}build`, { recursive: true });
const folder = mkdtempSync(`${root}build/kubernetes-`); // inside, because the types are looked up from there
after(() => rmSync(folder, { recursive: true }));

/**
 * What is wrong with manifests.
 * @param {{ apiVersion: string, kind: string }[]} manifests
 */
async function faults(...manifests) {
  let found = "";
  let source = "";
  for (const manifest of manifests) {
    const { apiVersion, kind } = manifest;
    const models = apiVersion.startsWith("monitoring.coreos.com/") ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
    const from = `${models}/${apiVersion}/${kind}`;
    const { [kind]: Model } = await import(from);
    try {
      new Model(manifest).validate();
    } catch (error) {
      found += `${kind}: ${error.message}\n`;
    }
    source += `import type { I${kind} } from "${from}";\n(${JSON.stringify(manifest)}) satisfies I${kind};\n`;
  }
  writeFileSync(`${folder}/manifests.ts`, source);
  const args = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", `${folder}/manifests.ts`];
  return found + spawnSync(`${root}node_modules/.bin/tsc`, args, { encoding: "utf8" }).stdout;
}

for (const document of ["docs/deploy.md", "docs/deploy.zh-CN.md"]) {
  test(`${document}: its overlay is built, and valid`, { skip }, async () => {
    const [, overlay] = readFileSync(root + document, "utf8").match(/```yaml\n(# kustomization\.yaml\n[^]*?)```/);
    const [, monitor] = readFileSync(root + document, "utf8").match(/`(components: \[.*\])`/);
    cpSync(`${root}deploy`, `${folder}/coze-token/deploy`, { recursive: true });
    mkdirSync(`${folder}/mine`, { recursive: true });
    writeFileSync(`${folder}/mine/kustomization.yaml`, `${overlay}${monitor}\n`);
    const built = execFileSync("kubectl", ["kustomize", `${folder}/mine`], { encoding: "utf8" });
    const manifests = parseAllDocuments(built).map((document) => document.toJS());
    assert.deepEqual(manifests.map(({ kind }) => kind).sort(),
      ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"]);
    assert.equal(await faults(...manifests), "");
    for (const { kind, metadata } of manifests) assert.equal(metadata.namespace, "coze-token", kind);
    const of = (kind) => manifests.find((manifest) => manifest.kind === kind);
    const [container] = of("Deployment").spec.template.spec.containers;
    assert.equal(container.image, "registry.example.com/coze-token:v1.2.3");
    assert.equal(of("ConfigMap").data.CLIENT_ID, "1133483935040");
    const [endpoint] = of("PodMonitor").spec.podMetricsEndpoints;
    assert.ok(container.ports.some(({ name }) => name === endpoint.port), "the monitored port is one of the container");
    assert.deepEqual(of("PodMonitor").spec.selector.matchLabels, of("Deployment").spec.selector.matchLabels);

    endpoint.intervall = "15s";
    assert.match(await faults(of("PodMonitor")), /intervall/, "a member that does not exist");
    delete endpoint.intervall;
    endpoint.interval = "15 s";
    assert.match(await faults(of("PodMonitor")), /pattern/, "a value of another form");
  });
}
