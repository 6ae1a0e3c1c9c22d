/** Files as inputs: what can be uploaded, and what stands for a file already. */
import { ResultFile } from "./file.js";

/** A file: a `Blob` or `File`, bytes, or a `file:` URL. */
export type Uploadable = Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | URL;

const SIGNATURES: [number[], string][] = [
  [[0x89, 0x50, 0x4e, 0x47], "png"],
  [[0xff, 0xd8, 0xff], "jpg"],
  [[0x47, 0x49, 0x46, 0x38], "gif"],
  [[0x42, 0x4d], "bmp"],
  [[0x49, 0x44, 0x33], "mp3"],
];
const BY_FOURCC: Record<string, string> = { WEBP: "webp", WAVE: "wav", "AVI ": "avi" };

/** A file on its way, with its name. A `file:` URL is read as it is sent. Not in browsers. */
export async function opened(file: Uploadable, filename?: string): Promise<{ blob: Blob; filename: string }> {
  if (file instanceof URL) {
    const [{ openAsBlob }, { fileURLToPath }, { basename }] = await Promise.all([
      import("node:fs"),
      import("node:url"),
      import("node:path"),
    ]);
    const path = fileURLToPath(file);
    return { blob: await openAsBlob(path), filename: filename ?? basename(path) };
  }
  const blob = file instanceof Blob ? file : new Blob([file]);
  const name = filename ?? (file as Partial<File>).name;
  return { blob, filename: name ?? `file.${await extensionOf(blob)}` };
}

/** A parameter as it is sent: `upload` gives the ids that stand in the places of files. */
export async function asSent(value: unknown, upload: (file: Uploadable) => Promise<string>): Promise<unknown> {
  if (value instanceof ResultFile) return value.url;
  if (value instanceof URL) return value.protocol === "file:" ? upload(value) : value.href;
  if (value instanceof Blob || value instanceof ArrayBuffer) return upload(value);
  if (value instanceof Uint8Array) return upload(value as Uint8Array<ArrayBuffer>);
  if (Array.isArray(value)) return Promise.all(value.map((one) => asSent(one, upload)));
  if (value === null || typeof value !== "object") return value;
  if ("file_id" in value) return value.file_id;
  const entries = Object.entries(value).map(async ([name, one]) => [name, await asSent(one, upload)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function extensionOf(blob: Blob): Promise<string> {
  const start = new Uint8Array(await blob.slice(0, 12).arrayBuffer());
  const four = (at: number) => String.fromCharCode(...start.subarray(at, at + 4));
  if (four(0) === "RIFF") return BY_FOURCC[four(8)] ?? "bin";
  if (four(4) === "ftyp") return "mp4";
  return SIGNATURES.find(([signature]) => signature.every((byte, at) => start[at] === byte))?.[1] ?? "bin";
}
