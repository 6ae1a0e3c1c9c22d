// Messages, as standardwebhooks signs them.
import assert from "node:assert/strict";
import { errors, webhooks } from "@modellix/client";

const { SECRET = "", OTHER = "", BODY = "", SIGNED = "" } = process.env;
const headers: Record<string, string> = JSON.parse(SIGNED);
const genuine = await webhooks.verify(BODY, headers, SECRET);
assert.deepEqual([genuine.task_id, genuine.status], ["task-1", "failed"]);
assert.equal((await webhooks.verify(new TextEncoder().encode(BODY), new Headers(headers), SECRET)).task_id, "task-1");
for (const [body, said, secret] of [
  [BODY, headers, OTHER],
  [`${BODY} `, headers, SECRET],
  [BODY, { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 301) }, SECRET],
  [BODY, { ...headers, "webhook-timestamp": "soon" }, SECRET],
  [BODY, { ...headers, "webhook-signature": "v1,!!" }, SECRET],
  [BODY, {}, SECRET],
  [BODY, headers, "whsec_!"],
] as const) {
  await assert.rejects(webhooks.verify(body, said, secret), errors.WebhookForged);
}
console.log("{}");
