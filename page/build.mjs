// Builds ../gfp_serve/page from these sources: checks the types, lints, bundles, and writes what each file was made of.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const out = process.argv[2] ?? "../gfp_serve/page";

for (const command of [["tsc"], ["biome", "lint", "--error-on-warnings"]]) {
  const done = spawnSync("npx", ["--no-install", ...command], { stdio: ["ignore", "inherit", "inherit"] });
  if (done.status) process.exit(done.status ?? 1);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const common = {
  bundle: true,
  minify: true,
  legalComments: "none", // licences.txt has them
  target: ["es2022"],
  logLevel: "warning",
};
await build({ ...common, entryPoints: { page: "main.ts" }, outdir: out, format: "esm" });
await build({ ...common, entryPoints: { pose_worker: "pose_worker.ts" }, outdir: out, format: "iife" });

copyFileSync("index.html", `${out}/index.html`);
const wasm = "node_modules/@mediapipe/tasks-vision/wasm";
for (const name of ["vision_wasm_internal.js", "vision_wasm_internal.wasm"])
  copyFileSync(`${wasm}/${name}`, `${out}/${name}`);

const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const licences = Object.entries(dependencies)
  .sort()
  .map(([name, version]) => `${name} ${version}\n\n${readFileSync(`licences/${name.replace("/", "_")}.txt`, "utf8")}`);
writeFileSync(`${out}/licences.txt`, licences.join(`\n${"-".repeat(78)}\n\n`));

// A test compares these with the sources, so that nobody forgets to build.
const sources = readdirSync(".", { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`.replace("./", ""))
  .filter((name) => !name.startsWith("node_modules/"))
  .sort();
const hashes = sources.map((name) => `${createHash("sha256").update(readFileSync(name)).digest("hex")}  ${name}\n`);
writeFileSync(`${out}/made_of.txt`, hashes.join(""));
