// The AI SDK with the provider of the client.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createModellix, modellix } from "@modellix/client/ai-sdk";
import { experimental_generateVideo as generateVideo, generateImage } from "ai";

const { FOLDER, PROXY } = process.env;
const house = readFileSync(`${FOLDER}/house.png`);
const boat = readFileSync(`${FOLDER}/boat.png`);
const aboutOf = (metadata: unknown) => (metadata as { modellix: any }).modellix;

// A picture by its ratio, with a parameter of the model's own.
const wide = await generateImage({
  model: modellix.image("alibaba/qwen-image-plus"),
  prompt: "a lake",
  aspectRatio: "16:9",
  seed: 7,
  providerOptions: { modellix: { negative_prompt: "boats" } },
});
assert.equal(wide.image.mediaType, "image/png");
assert.deepEqual(sizeOf(wide.image.uint8Array), [1664, 928]);
assert.deepEqual(wide.warnings, []);
const about = aboutOf(wide.providerMetadata).images[0];
assert.equal(about.taskCost, 0.0172);
assert.match(about.taskId, /^task-/);

// More than the model makes at once are several tasks; what the model has not is said.
const several = await generateImage({ model: modellix.imageModel("alibaba/wan2.6-t2i"), prompt: "a lake", n: 5 });
assert.equal(several.images.length, 5);
assert.equal(several.responses.length, 2);
const other = await generateImage({ model: modellix.image("openai/gpt-image-1.5"), prompt: "x", seed: 1, size: "1000x1000" });
assert.deepEqual(other.warnings.map((one) => [one.type, "feature" in one && one.feature]), [
  ["unsupported", "seed"],
  ["compatibility", "size"],
]);

const edited = await generateImage({
  model: modellix.image("openai/gpt-image-1.5"),
  prompt: { text: "rain", images: [house, boat], mask: readFileSync(`${FOLDER}/mask.png`) },
});
assert.equal(aboutOf(edited.providerMetadata).images[0].model, "openai/gpt-image-1.5-edit");

// Clips: whole, and by start and status.
const clip = await generateVideo({ model: modellix.video("minimax/hailuo-2.3-t2v"), prompt: "a boat", duration: 8, fps: 24 });
assert.equal(Buffer.from(clip.video.uint8Array).subarray(4, 8).toString(), "ftyp");
assert.equal(clip.video.mediaType, "video/mp4");
assert.deepEqual(clip.warnings.map((one) => "feature" in one && one.feature), ["fps", "duration"]);
assert.ok(aboutOf(clip.providerMetadata).taskCost > 0);

const moving = await generateVideo({
  model: modellix.videoModel("minimax/hailuo-2.3-t2v"),
  prompt: { text: "it moves", image: house },
  poll: { intervalMs: 100 },
});
assert.equal(Buffer.from(moving.video.uint8Array).subarray(4, 8).toString(), "ftyp");
const between = await generateVideo({
  model: modellix.video("bytedance/seedance-1.5-pro-i2v"),
  prompt: "from one to the other",
  frameImages: [
    { image: house, frameType: "first_frame" },
    { image: boat, frameType: "last_frame" },
  ],
  aspectRatio: "adaptive",
  generateAudio: false,
  seed: 3,
});
assert.deepEqual(between.warnings, []);

// Refusals and failures have the client's errors.
const wrong = await generateImage({ model: modellix.image("alibaba/none"), prompt: "x" }).catch((error) => error);
assert.deepEqual([wrong.name, wrong.category], ["NotFound", "Resource not found"]);
const dear = await generateImage({ model: modellix.image("alibaba/qwen-image-plus"), prompt: "x", headers: { "X-Max-Cost": "0.01" } }).catch((error) => error);
assert.equal(dear.name, "InvalidRequest");
const failed = await generateVideo({ model: modellix.video("minimax/hailuo-2.3-t2v"), prompt: "[sandbox:moderate]" }).catch((error) => error);
assert.deepEqual([failed.name, failed.code], ["TaskFailed", "content_rejected"]);
const polled = await generateVideo({
  model: modellix.video("minimax/hailuo-2.3-t2v"),
  prompt: "[sandbox:moderate]",
  poll: { intervalMs: 100 },
}).catch((error) => error);
assert.match(polled.message, /^content_rejected: /);
assert.throws(() => modellix.languageModel("gpt-5"), /has image and video models/);
await assert.rejects(
  generateImage({ model: modellix.image("alibaba/qwen-image-plus"), prompt: "x", abortSignal: AbortSignal.abort() }),
  { name: "AbortError" },
);

// An answer that is lost again and again.
const through = createModellix({ baseURL: PROXY ?? "" });
const once = await generateImage({ model: through.image("alibaba/qwen-image-plus"), prompt: "once" });

function sizeOf(png: Uint8Array): number[] {
  const view = new DataView(png.buffer, png.byteOffset);
  return [view.getUint32(16), view.getUint32(20)];
}

console.log(JSON.stringify({ wide: about.taskId, between: aboutOf(between.providerMetadata).taskId, once: aboutOf(once.providerMetadata).images[0].taskId }));
