// What a program does with the client.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { Client, errors } from "@modellix/client";

const { ORIGIN, KEY, FOLDER } = process.env;
const MODEL = "alibaba/qwen-image-plus";
const EDIT = "alibaba/qwen-image-edit-plus";
const client = new Client();
assert.equal(client.baseURL, ORIGIN);

// A picture, its file, and what it cost.
const task = await client.run(MODEL, { prompt: "a cat", size: "1664*928" });
assert.deepEqual([task.status, task.done, task.cost], ["success", true, 0.0172]);
const [file] = task.files;
assert.ok(file);
assert.match(file.name, /^qwen-image-plus-[0-9a-f]{8}\.png$/);
assert.deepEqual([file.resource.width, file.resource.height, file.resource.type], [1664, 928, "image"]);
const content = await file.bytes();
assert.equal(content.length, file.resource.size);
const out = `${FOLDER}/out`;
assert.equal(await file.save(`${out}/`), `${out}/${file.name}`);
assert.equal(await file.save(out), `${out}/${file.name}`);
assert.equal(await file.save(`${out}/new/cat.png`), `${out}/new/cat.png`);
assert.deepEqual(readFileSync(`${out}/new/cat.png`), Buffer.from(content));
assert.deepEqual(readdirSync(out).sort(), ["new", file.name].sort());
assert.equal((await file.blob()).type, "image/png");

// Every kind of file is an input; several results have several names.
const uploaded = await client.upload(new File([content], "dog.png"));
assert.deepEqual([uploaded.filename, uploaded.type, uploaded.size], ["dog.png", "image", content.length]);
const path = pathToFileURL(`${out}/new/cat.png`);
for (const image of [file, file.url, new URL(file.url), content, content.buffer, new Blob([content]), path, uploaded, uploaded.file_id]) {
  assert.equal((await client.quote(EDIT, { prompt: "a hat", images: [image] })).units, 1);
}
const edited = await client.run(EDIT, { prompt: "a hat", images: [file, path], n: 2 });
assert.deepEqual(edited.files.map((one) => one.name.replace(/-[0-9a-f]{8}/, "")), ["qwen-image-edit-plus-1.png", "qwen-image-edit-plus-2.png"]);
await client.deleteFile(uploaded.file_id);
const kept = (await client.request("GET", "/api/v1/media/files")).files.map((one: { filename: string }) => one.filename);
assert.deepEqual([...new Set(kept)].sort(), ["cat.png", "file.png"]);

// Submitted, followed by events, found again, deleted.
const slow = await client.submit(MODEL, { prompt: "[sandbox:slow=1] a cat" }, { maxCost: 0.05 });
assert.deepEqual([slow.status, slow.cost, slow.files.length], ["pending", undefined, 0]);
const events = [];
for await (const event of slow.events()) events.push(event);
assert.equal(events.at(-1)?.status, "success");
assert.ok(events.slice(0, -1).every(({ stage }) => ["queued", "running", "storing"].includes(stage ?? "")));
const again = await client.task(slow.id);
assert.deepEqual([again.status, again.cost, again.files[0]?.name], ["success", slow.cost, slow.files[0]?.name]);
for await (const _ of again.events()) assert.fail("it has ended");
await again.deleteResult();
const gone = await again.refresh().catch((error) => error);
assert.deepEqual([gone instanceof errors.NotFound, gone.taskId], [true, slow.id]);

// Canceled while it costs nothing; too late afterwards.
const waiting = await client.submit(MODEL, { prompt: "[sandbox:queue=60]" });
assert.equal(await waiting.cancel(), true);
const failed = await waiting.wait().catch((error) => error);
assert.ok(failed instanceof errors.TaskFailed);
assert.deepEqual([failed.code, failed.taskId, failed.docsUrl], ["canceled", waiting.id, `${ORIGIN}/docs/errors/canceled`]);
assert.match(await (await fetch(failed.docsUrl)).text(), /canceled/);
await assert.rejects(task.cancel(), errors.Conflict);

// The catalogue and the account.
const models = await client.models({ type: "text-to-video", provider: "minimax" });
assert.ok(models.length && models.every((one) => one.type === "text-to-video" && one.provider === "minimax"));
const details = await client.model(MODEL);
assert.equal((details.schema["properties"] as any).prompt.maxLength, 800);
assert.equal((await client.quote(MODEL, { prompt: "x" })).cost_micros, 17200);
assert.equal(typeof (await client.balance()), "number");
const listed = [];
for await (const one of client.tasks({ status: "success", model: MODEL })) listed.push(one.task_id);
assert.deepEqual(listed, [slow.id, task.id]);
assert.match((await client.request("POST", "/api/v1/webhooks", { body: { url: "https://example.com/hook" } })).id, /^we_/);

// Refusals have a class and say all; no key is ever shown.
const empty = await client.run(MODEL, { prompt: "" }).catch((error) => error);
assert.ok(empty instanceof errors.InvalidRequest);
assert.deepEqual([empty.category, empty.status, empty.code], ["Value out of range", 400, 400]);
assert.match(empty.requestId ?? "", /^[0-9a-f]{32}$/);
assert.equal(empty.docsUrl, `${ORIGIN}/docs/errors/value-out-of-range`);
assert.ok(empty.idempotencyKey);
const moderated = await client.run(MODEL, { prompt: "[sandbox:moderate]" }).catch((error) => error);
assert.deepEqual([moderated.name, moderated.code, moderated.docsUrl], ["TaskFailed", "content_rejected", `${ORIGIN}/docs/errors/content-rejected`]);
await assert.rejects(client.submit(MODEL, { prompt: "x" }, { maxCost: 0.01 }), errors.InvalidRequest);
await assert.rejects(client.model("alibaba/none"), errors.NotFound);
await assert.rejects(new Client({ apiKey: "mdlx-no" }).balance(), errors.AuthenticationFailed);
const closed = createServer().listen(0, "127.0.0.1");
await once(closed, "listening");
const { port } = closed.address() as AddressInfo;
closed.close();
await assert.rejects(new Client({ baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 }).balance(), { name: "ConnectionFailed", sent: false });
assert.equal(new Client({ baseURL: `${ORIGIN}/v1/` }).baseURL, ORIGIN);
await assert.rejects(client.request("GET", "//example.com/api"), errors.NotConfigured, "the key goes nowhere else");
assert.throws(() => new Client({ baseURL: "one.example" }), errors.NotConfigured);
assert.throws(() => new Client({ apiKey: "mdlx 2" }), (error: Error) => error instanceof errors.NotConfigured && !error.message.includes("mdlx"));
assert.ok(!(inspect(client, { depth: 9, showHidden: true }) + inspect(empty, { depth: 9 })).includes(KEY ?? "?"));

console.log(JSON.stringify({ task: task.id }));
