/** Messages about ended tasks: whether one is genuine, and what it says (Standard Webhooks). */
import { WebhookForged } from "./errors.js";
import type { TaskState } from "./types.js";

/**
 * What a message says, once its signature is checked. `body` is the raw body, `secret` begins with `whsec_`.
 *
 * @throws WebhookForged where the signature is missing or wrong, or the message older than `toleranceMs` (300,000)
 */
export async function verify(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Headers | Record<string, string | string[] | undefined>,
  secret: string,
  options: { toleranceMs?: number } = {},
): Promise<TaskState> {
  const given = headers instanceof Headers ? headers : new Headers(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  const [id, sentAt, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => {
    const value = given.get(name);
    if (value === null) throw new WebhookForged(`the header ${name} is missing`);
    return value;
  }) as [string, string, string];
  const ageMs = Math.abs(Date.now() - Number(sentAt) * 1000);
  if (!/^\d+$/.test(sentAt)) throw new WebhookForged("the header webhook-timestamp is no time");
  if (ageMs > (options.toleranceMs ?? 300_000)) {
    throw new WebhookForged(`the message was signed ${Math.round(ageMs / 1000)} seconds ago, or will be`);
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const signed = new Blob([`${id}.${sentAt}.`, bytes]);
  const key = await crypto.subtle.importKey("raw", secretOf(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const content = await signed.arrayBuffer();
  for (const one of signatures.split(" ").filter((text) => text.startsWith("v1,"))) {
    const signature = bytesOf(one.slice(3));
    if (signature && (await crypto.subtle.verify("HMAC", key, signature, content))) {
      return JSON.parse(new TextDecoder().decode(bytes)).data;
    }
  }
  throw new WebhookForged("the signature does not fit the message");
}

function secretOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(text.replace(/^whsec_/, ""));
  if (!bytes?.length) throw new WebhookForged("the secret is none: it begins with whsec_, and base64 follows");
  return bytes;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
