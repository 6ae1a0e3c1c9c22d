// A connection that is cut again and again: the client sends the request again by itself.
import assert from "node:assert/strict";
import OpenAI from "openai";

const { PROXY, KEY, SLOW } = process.env;
const client = new OpenAI({ baseURL: `${PROXY}/v1`, apiKey: KEY, maxRetries: 3 });
const made = await client.images.generate({ model: "alibaba/qwen-image-plus", prompt: `a lake [sandbox:slow=${SLOW}]` });
assert.ok(made.data?.[0]?.b64_json);
console.log(JSON.stringify({ task: (made as { task_id?: string }).task_id }));
