// Builds ../gfp_serve/page from these sources: checks the types, lints, bundles, and writes what each file was made of.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const out = process.argv[2] ?? "../gfp_serve/page";
const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));

function licence(name) {
  return `${name} ${dependencies[name]}\n\n${readFileSync(`licences/${name.replace("/", "_")}.txt`, "utf8")}`;
}

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
// A file with the viewer in it goes to people who have nothing else of this package: its script names the licence.
const banner = { js: `/*\n${licence("three")}*/` };
await build({ ...common, entryPoints: { viewer: "viewer.ts" }, outdir: out, format: "iife", banner });

copyFileSync("index.html", `${out}/index.html`);
const wasm = "node_modules/@mediapipe/tasks-vision/wasm";
for (const name of ["vision_wasm_internal.js", "vision_wasm_internal.wasm"])
  copyFileSync(`${wasm}/${name}`, `${out}/${name}`);

const licences = Object.keys(dependencies).sort().map(licence);
writeFileSync(`${out}/licences.txt`, licences.join(`\n${"-".repeat(78)}\n\n`));

// A test compares these with the sources, so that nobody forgets to build.
const sources = readdirSync(".", { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`.replace("./", ""))
  .filter((name) => !name.startsWith("node_modules/"))
  .sort();
const hashes = sources.map((name) => `${createHash("sha256").update(readFileSync(name)).digest("hex")}  ${name}\n`);
writeFileSync(`${out}/made_of.txt`, hashes.join(""));
