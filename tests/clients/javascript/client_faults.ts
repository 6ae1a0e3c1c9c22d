// The client over bad lines. What the proxy spoils is said by `PUT /faults`, one list a step.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { Client, errors } from "@modellix/client";

const { ORIGIN, PROXY, FOLDER } = process.env;
const MODEL = "alibaba/qwen-image-plus";
const SUBMIT = `/api/v1/${MODEL}`;
const client = new Client({ baseURL: PROXY ?? "" });
const hole = readFileSync(`${FOLDER}/mask.png`);

async function spoil(path: string, kind: string, times = 1, headers: Record<string, string> = {}, body = "<html>Bad gateway</html>") {
  await fetch(`${PROXY}/faults`, { method: "PUT", body: JSON.stringify({ path, kind, times, headers, body }) });
}

async function failure(call: Promise<unknown>): Promise<any> {
  return call.then(() => assert.fail("it should fail"), (error) => error);
}

// A lost answer is one task and one charge.
await spoil(SUBMIT, "cut", 2);
await spoil(SUBMIT, "502");
const once = await client.run(MODEL, { prompt: "once" });
assert.equal(once.status, "success");

// A submission that is given up can be taken up.
await spoil(SUBMIT, "cut", 4);
const lost = await failure(client.submit(MODEL, { prompt: "twice" }));
assert.deepEqual([lost instanceof errors.ConnectionFailed, lost.sent, lost.taskId], [true, true, undefined]);
assert.match(lost.requestId, /^[0-9a-f]{32}$/);
const taken = await client.submit(MODEL, { prompt: "twice" }, { idempotencyKey: lost.idempotencyKey });
const other = await failure(client.submit(MODEL, { prompt: "other" }, { idempotencyKey: lost.idempotencyKey }));
assert.deepEqual([other.status, other.idempotencyKey], [422, lost.idempotencyKey]);
await taken.wait();

// A busy platform says when; too long is too long.
const busy = '{"code": 429, "message": "Rate limit exceeded: 100 requests per minute"}';
await spoil("/api/v1/media/files", "429", 1, { "Retry-After": "1" }, busy);
const began = performance.now();
await client.upload(hole);
assert.ok(performance.now() - began >= 1000);
const there = { "Retry-After": "61", Link: '<https://docs.example.com/errors/rate-limit-exceeded>; rel="help"' };
await spoil("/api/v1/team/balance", "429", 1, there, busy);
const refused = await failure(client.balance());
assert.ok(refused instanceof errors.RateLimited);
assert.deepEqual([refused.retryAfterMs, refused.docsUrl], [61_000, "https://docs.example.com/errors/rate-limit-exceeded"]);

// An upload that may have arrived is not sent again.
await spoil("/api/v1/media/files", "cut");
assert.equal((await failure(client.upload(hole))).name, "ConnectionFailed");
await spoil("/api/v1/media/files", "502");
assert.equal((await failure(client.upload(hole))).name, "ServerError");

// Waiting outlasts what passes, and events go on after a cut.
const waiting = await client.submit(MODEL, { prompt: "[sandbox:slow=1]" });
await spoil(`/api/v1/tasks/${waiting.id}`, "unsent", 4);
await spoil(`/api/v1/tasks/${waiting.id}`, "502");
await spoil(`/api/v1/tasks/${waiting.id}`, "half");
assert.equal((await waiting.wait({ timeoutMs: 60_000 })).status, "success");
const followed = await client.submit(MODEL, { prompt: "[sandbox:slow=3]" });
await spoil(`/api/v1/tasks/${followed.id}/stream`, "half");
const events = [];
for await (const event of followed.events()) events.push(event);
assert.deepEqual([events.at(-1)?.status, followed.status], ["success", "success"]);

// No time-out and no abort loses the task.
const late = await failure(client.run(MODEL, { prompt: "[sandbox:queue=60]" }, { timeoutMs: 500 }));
assert.ok(late instanceof errors.TimedOut);
assert.deepEqual([late.taskId, late.message.includes(late.task.id)], [late.task.id, true]);
const silent = await failure((async () => { for await (const _ of late.task.events({ timeoutMs: 1000 })); })());
assert.deepEqual([silent.name, silent.taskId], ["TimedOut", late.task.id]);
const aborted = await failure(late.task.wait({ signal: AbortSignal.timeout(300) }));
assert.deepEqual([aborted instanceof errors.Aborted, aborted.taskId, aborted.cause.name], [true, late.task.id, "TimeoutError"]);
const left = await failure((async () => { for await (const _ of late.task.events({ signal: AbortSignal.timeout(1000) })); })());
assert.deepEqual([left instanceof errors.Aborted, left.taskId], [true, late.task.id]);
for await (const event of late.task.events()) {
  assert.equal(event.status, "pending");
  break;
}
assert.ok(await late.task.cancel());

// A silent API is an end too.
await spoil("/api/v1/team/balance", "silent");
const unheard = await failure(new Client({ baseURL: PROXY ?? "", timeoutMs: 500, maxRetries: 0 }).balance());
assert.deepEqual([unheard.name, unheard.sent], ["ConnectionFailed", true]);

// A download is whole or not there, and gets no key. Links are those of the platform: they are led through the proxy.
const through = new Client({ baseURL: PROXY ?? "", fetch: (url, init) => fetch(String(url).replace(ORIGIN ?? "", PROXY ?? ""), init) });
const [file] = (await through.task(once.id)).files;
assert.ok(file);
const path = new URL(file.url).pathname;
await spoil(path, "half");
await spoil(path, "502");
assert.equal((await file.bytes()).length, file.resource.size);
await spoil(path, "half", 4);
writeFileSync(`${FOLDER}/old.png`, "as it was");
assert.equal((await failure(file.save(`${FOLDER}/old.png`))).name, "ConnectionFailed");
assert.equal(readFileSync(`${FOLDER}/old.png`, "utf8"), "as it was");

// Something else answers.
for (const body of ["<html>Bad gateway</html>", "[]", '{"code": 0}', '{"code": 0, "data": {"balance"']) {
  await spoil("/api/v1/team/balance", "200", 1, {}, body);
  assert.match((await failure(client.balance())).message, /check the base URL/);
}
await spoil("/api/v1/team/balance", "302", 1, { Location: "https://example.com/" });
assert.equal((await failure(client.balance())).name, "BadAnswer");
await spoil("/api/v1/team/balance", "502", 4);
assert.match((await failure(client.balance())).message, /HTTP 502/);

console.log(JSON.stringify({ once: once.id, twice: taken.id }));
