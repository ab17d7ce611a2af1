// Embed a recording, add it to the gallery and ask for its class, from Node.js. It reads the proto files directly.
//
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node client.mjs 127.0.0.1:50051 ../../proto
//
// A recording is float32 with the axes frames, bodies, joints, 3, in metres, y up. This one is made up.

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const [address = "127.0.0.1:50051", protos = "../../proto"] = process.argv.slice(2);
const loaded = protoLoader.loadSync(
  ["embedding", "gallery", "stream"].map((name) => `gfp_serve/v1/${name}.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, defaults: true },
);
const { EmbeddingService, GalleryService, StreamService } = grpc.loadPackageDefinition(loaded).gfp_serve.v1;
const credentials = grpc.credentials.createInsecure();
const embedding = new EmbeddingService(address, credentials);
const gallery = new GalleryService(address, credentials);
const stream = new StreamService(address, credentials);

// Make a call that returns a promise.
const ask = (client, method, request) =>
  new Promise((resolve, reject) =>
    client[method](request, (error, reply) => (error ? reject(error) : resolve(reply))),
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
await ask(gallery, "Upsert", {
  items: [0, 1, 2].map((phase) => ({ id: `made-up ${phase}`, label: `phase ${phase}`, sequence: sequence(phase) })),
});
const { results } = await ask(gallery, "Classify", { queries: [{ sequence: sequence(1) }], num_neighbours: 1 });

// An error has a status, and names the field of the request that it is about.
let refused;
try {
  await ask(embedding, "Embed", { sequences: [{ ...sequence(0), num_frames: 7 }] });
} catch (error) {
  refused = { code: grpc.status[error.code], details: error.details };
}

const windows = await new Promise((resolve, reject) => {
  const found = [];
  const call = stream.EmbedStream();
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
