// Code for OpenAI's former video API (Sora), by OpenAI's own client.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import OpenAI from "openai";

const { ORIGIN, KEY, FOLDER } = process.env;
const client = new OpenAI({ baseURL: `${ORIGIN}/v1`, apiKey: KEY });
type Video = Awaited<ReturnType<typeof client.videos.create>>;

async function ended(video: Video): Promise<Video> {
  while (video.status === "queued" || video.status === "in_progress") {
    const { data, response } = await client.videos.retrieve(video.id).withResponse();
    video = data;
    await new Promise((resolve) => setTimeout(resolve, Number(response.headers.get("openai-poll-after-ms"))));
  }
  return video;
}

const made = await client.videos.create({ model: "minimax/hailuo-2.3-t2v" as "sora-2", prompt: "a boat", seconds: "8", size: "1280x720" });
assert.deepEqual([made.object, made.model, made.seconds], ["video", "minimax/hailuo-2.3-t2v", "6"]);
const done = await ended(made);
assert.deepEqual([done.status, done.progress, done.error], ["completed", 100, null]);
const content = await client.videos.downloadContent(done.id);
const clip = Buffer.from(await content.arrayBuffer());
assert.equal(clip.subarray(4, 8).toString(), "ftyp");

const shown = await client.videos.create({
  model: "minimax/hailuo-2.3-t2v" as "sora-2",
  prompt: "it moves",
  input_reference: createReadStream(`${FOLDER}/house.png`),
});
assert.equal(shown.model, "minimax/hailuo-2.3-i2v");
assert.equal((await ended(shown)).status, "completed");

const listed = [];
for await (const one of client.videos.list({ limit: 1 })) listed.push(one.id);
assert.deepEqual(listed, [shown.id, made.id]);
assert.ok((await client.videos.delete(made.id)).deleted);
await assert.rejects(async () => client.videos.retrieve(made.id), OpenAI.NotFoundError);

console.log(JSON.stringify({ size: clip.length }));
