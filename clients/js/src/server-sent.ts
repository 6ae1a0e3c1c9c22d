/** Server-sent events, as their bytes come (HTML Living Standard, 9.2). */

export interface Message {
  event: string;
  data: string;
  id: string;
}

/** Every message that has data. */
export async function* messages(parts: AsyncGenerator<Uint8Array>): AsyncGenerator<Message, void, undefined> {
  const decoder = new TextDecoder();
  let message: Message = { event: "", data: "", id: "" };
  let left = "";
  for await (const part of parts) {
    const lines = (left + decoder.decode(part, { stream: true })).split("\n");
    left = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (message.data) yield message;
        message = { event: "", data: "", id: "" };
        continue;
      }
      const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line.replace(/\r$/, "")) ?? [];
      if (name === "event" || name === "data" || name === "id") message[name] = value;
    }
  }
}
