// OpenAI's own client, unmodified: another base URL and key, nothing else.
import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";

const { ORIGIN, KEY, FOLDER } = process.env;
const client = new OpenAI({ baseURL: `${ORIGIN}/v1`, apiKey: KEY });
const isPng = (b64: string | undefined) => Buffer.from(b64 ?? "", "base64").subarray(1, 4).toString() === "PNG";
const taskOf = (answer: unknown) => (answer as { task_id: string }).task_id;

const made = await client.images.generate({ model: "alibaba/qwen-image-plus", prompt: "a lake", size: "1024x1024" });
assert.ok(isPng(made.data?.[0]?.b64_json));
assert.equal(made.size, "1328x1328");
assert.equal(made.output_format, "png");

const linked = await client.images.generate({ model: "alibaba/wan2.6-t2i", prompt: "a lake", n: 2, response_format: "url" });
assert.equal(linked.data?.length, 2);
for (const { url } of linked.data ?? []) assert.equal((await (await fetch(url ?? "")).blob()).type, "image/png");

const edited = await client.images.edit({
  model: "gpt-image-1.5",
  prompt: "rain",
  image: [createReadStream(`${FOLDER}/house.png`), await toFile(readFileSync(`${FOLDER}/boat.png`), "boat.png", { type: "image/png" })],
  mask: await toFile(readFileSync(`${FOLDER}/mask.png`), "mask.png", { type: "image/png" }),
  quality: "high",
});
assert.ok(isPng(edited.data?.[0]?.b64_json));
assert.equal(edited.quality, "high");

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok(models.includes("alibaba/qwen-image-plus"));
assert.equal((await client.models.retrieve("alibaba/qwen-image-plus")).owned_by, "alibaba");

const refused = await client.images.generate({ model: "alibaba/wan2.6-t2i", prompt: "a lake", n: 9 }).catch((error) => error);
assert.ok(refused instanceof OpenAI.BadRequestError);
assert.equal(refused.param, "n");
assert.equal(refused.headers.get("x-should-retry"), "false");
const moderated = await client.images.generate({ model: "alibaba/qwen-image-plus", prompt: "[sandbox:moderate]" }).catch((error) => error);
assert.equal(moderated.code, "moderation_blocked");
const stranger = new OpenAI({ baseURL: `${ORIGIN}/v1`, apiKey: "mdlx-none" });
await assert.rejects(async () => stranger.models.list(), OpenAI.AuthenticationError);

console.log(JSON.stringify({ edited: taskOf(edited) }));
