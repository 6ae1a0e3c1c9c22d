// The AI SDK with its own providers: the OpenAI-compatible one, and that of xAI for videos.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createXai } from "@ai-sdk/xai";
import { experimental_generateVideo as generateVideo, generateImage } from "ai";

const { ORIGIN, KEY, FOLDER } = process.env;
const provider = createOpenAICompatible({ name: "modellix", baseURL: `${ORIGIN}/v1`, apiKey: KEY ?? "" });

const made = await generateImage({
  model: provider.imageModel("alibaba/qwen-image-plus"),
  prompt: "a lake",
  size: "1664x928",
  providerOptions: { modellix: { seed: 7 } },
});
assert.equal(made.image.mediaType, "image/png");
assert.deepEqual(made.warnings, []);

const several = await generateImage({ model: provider.imageModel("alibaba/wan2.6-t2i"), prompt: "a lake", n: 2 });
assert.equal(several.images.length, 2);

const edited = await generateImage({
  model: provider.imageModel("openai/gpt-image-1.5"),
  prompt: { text: "rain", images: [readFileSync(`${FOLDER}/house.png`), readFileSync(`${FOLDER}/boat.png`)], mask: readFileSync(`${FOLDER}/mask.png`) },
});
assert.equal(edited.image.mediaType, "image/png");

const wrong = await generateImage({ model: provider.imageModel("alibaba/none"), prompt: "x" }).catch((error) => error);
assert.match(wrong.message, /Resource not found/);
assert.deepEqual([wrong.statusCode, wrong.isRetryable], [404, false]);

const { video, warnings } = await generateVideo({
  model: createXai({ baseURL: `${ORIGIN}/v1`, apiKey: KEY ?? "" }).video("minimax/hailuo-2.3-t2v"),
  prompt: { text: "it moves", image: readFileSync(`${FOLDER}/house.png`) },
  duration: 6,
  poll: { intervalMs: 100 },
  // From a private address, such as that of these tests, the AI SDK loads nothing by itself.
  download: async ({ url }) => ({ data: await (await fetch(url)).bytes(), mediaType: "video/mp4" }),
});
assert.equal(Buffer.from(video.uint8Array).subarray(4, 8).toString(), "ftyp");
assert.deepEqual(warnings, []);
console.log(JSON.stringify({ size: made.image.uint8Array.length }));
