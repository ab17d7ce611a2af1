// Embed a recording, add it to a gallery and ask for its class, from Node.js. It reads the proto files directly.
//
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node client.mjs 127.0.0.1:50051 ../../proto
//
// A server with TLS and tokens is called with the variables that the command gfp knows too:
//
//   GFP_TLS_CA=ca.pem GFP_TOKEN_FILE=token node client.mjs gfp.example:50051 ../../proto
//
// The file holds one token, alone or as the line that the server has: write TOKEN NAME.
//
// GFP_TLS=1 trusts the authorities that Node.js comes with. GFP_TLS_SERVER_NAME is the name in the certificate, where that
// is not the address. The token must be one that may write.
//
// Items go into a gallery of its own, node-example, which is dropped at the end: nobody's items are touched.
//
// A recording is float32 with the axes frames, bodies, joints, 3, in metres, y up. This one is made up.

import fs from "node:fs";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const [address = "127.0.0.1:50051", protos = "../../proto"] = process.argv.slice(2);
const loaded = protoLoader.loadSync(
  ["embedding", "gallery", "stream"].map((name) => `gfp_serve/v1/${name}.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, defaults: true },
);
const { EmbeddingService, GalleryService, StreamService } = grpc.loadPackageDefinition(loaded).gfp_serve.v1;
const { GFP_TLS, GFP_TLS_CA, GFP_TLS_SERVER_NAME, GFP_TOKEN_FILE } = process.env;
const encrypts = GFP_TLS || GFP_TLS_CA || GFP_TLS_SERVER_NAME;
const credentials = encrypts
  ? grpc.credentials.createSsl(GFP_TLS_CA ? fs.readFileSync(GFP_TLS_CA) : null)
  : grpc.credentials.createInsecure();
const options = GFP_TLS_SERVER_NAME ? { "grpc.ssl_target_name_override": GFP_TLS_SERVER_NAME } : {};
const embedding = new EmbeddingService(address, credentials, options);
const gallery = new GalleryService(address, credentials, options);
const stream = new StreamService(address, credentials, options);

// The headers of each call: the token, if there is one. gRPC sends it without TLS too, which only loopback forgives.
const headers = new grpc.Metadata();
if (GFP_TOKEN_FILE) headers.set("authorization", `Bearer ${readToken(GFP_TOKEN_FILE)}`);

function readToken(path) {
  const lines = fs.readFileSync(path, "utf8").split(/\r?\n/).map((line) => line.trim().split(/\s+/));
  const [fields, ...more] = lines.filter(([first]) => first && !first.startsWith("#"));
  if (!fields || more.length) throw new Error(`${path} must hold one token, in one line: TOKEN, or write TOKEN NAME`);
  return fields.length > 1 && ["read", "write", "admin"].includes(fields[0]) ? fields[1] : fields[0];
}

// Make a call that returns a promise.
const ask = (client, method, request) =>
  new Promise((resolve, reject) =>
    client[method](request, headers, (error, reply) => (error ? reject(error) : resolve(reply))),
  );

const frames = 60;
const joints = 25;
const moving = (phase) => {
  const positions = new Float32Array(frames * joints * 3);
  for (let frame = 0; frame < frames; frame++)
    for (let joint = 0; joint < joints; joint++)
      positions.set(
        [Math.sin(joint + phase), joint / joints + 0.1 * Math.sin((frame + joint) / 9), Math.cos(2 * joint)],
        3 * (frame * joints + joint),
      );
  // The wire is little-endian, and so are typed arrays on every machine that runs Node.js today.
  return Buffer.from(positions.buffer);
};
const sequence = (phase) => ({
  positions: moving(phase),
  num_frames: frames,
  num_bodies: 1,
  num_joints: joints,
  layout: "ntu25",
});

const info = await ask(embedding, "GetInfo", {});
const { embeddings } = await ask(embedding, "Embed", { sequences: [sequence(0)] });
const { values, size } = embeddings[0];
const vector = new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + 4 * size));
const name = "node-example";
let results;
await ask(gallery, "CreateGallery", { gallery: name });
try {
  await ask(gallery, "Upsert", {
    gallery: name,
    items: [0, 1, 2].map((phase) => ({ id: `made-up ${phase}`, label: `phase ${phase}`, sequence: sequence(phase) })),
  });
  const queries = [{ sequence: sequence(1) }];
  ({ results } = await ask(gallery, "Classify", { gallery: name, queries, num_neighbours: 1 }));
} finally {
  await ask(gallery, "DropGallery", { gallery: name });
}

// An error has a status, and names the field of the request that it is about.
let refused;
try {
  await ask(embedding, "Embed", { sequences: [{ ...sequence(0), num_frames: 7 }] });
} catch (error) {
  refused = { code: grpc.status[error.code], details: error.details };
}

const windows = await new Promise((resolve, reject) => {
  const found = [];
  const call = stream.EmbedStream(headers);
  call.on("data", (window) => found.push(window.first_frame));
  call.on("error", reject);
  call.on("end", () => resolve(found));
  call.write({
    config: { layout: "ntu25", num_bodies: 1, fps: 30, window_frames: 30, stride_frames: 15, lossless: true },
  });
  call.write({ frames: { positions: moving(0), num_frames: frames } });
  call.end();
});

console.log(
  JSON.stringify({
    encoder: info.encoder.name,
    length: Math.hypot(...vector),
    label: results[0].label,
    refused,
    windows,
  }),
);
for (const client of [embedding, gallery, stream]) client.close();
