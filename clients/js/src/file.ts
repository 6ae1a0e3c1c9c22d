/** Files that tasks deliver. */
import { ConnectionFailed } from "./errors.js";
import { sleep } from "./timing.js";
import { pauseMs, type Transport } from "./transport.js";
import type { Resource } from "./types.js";

const RETRIES = 3;

/** One file that a task delivered. `resource` has its kind, size and measures. */
export class ResultFile {
  readonly resource: Resource;
  /** A good name for a copy: model, task, number and extension. */
  readonly name: string;
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport, resource: Resource, name: string) {
    this.#transport = transport;
    this.resource = resource;
    this.name = name;
  }

  /** Public link, until the result expires. It can be the input of another task. */
  get url(): string {
    return this.resource.url;
  }

  /** The whole file. @throws ApiError (NotFound once it has expired), ConnectionFailed, Aborted */
  async bytes(options: { signal?: AbortSignal } = {}): Promise<Uint8Array<ArrayBuffer>> {
    const whole = new Uint8Array(this.resource.size);
    await this.#received(options.signal, async (parts) => {
      let at = 0;
      for await (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
    });
    return whole;
  }

  /** The same as `Blob`, with its type. */
  async blob(options: { signal?: AbortSignal } = {}): Promise<Blob> {
    return new Blob([await this.bytes(options)], { type: `${this.resource.type}/${this.resource.format}` });
  }

  /**
   * Save a copy and return its path: in a folder under `name`, or at the path of a file. Other than by a whole file the
   * path is never changed. Not in browsers.
   *
   * @throws ApiError, ConnectionFailed, Aborted, and what the file system says
   */
  async save(path = ".", options: { signal?: AbortSignal } = {}): Promise<string> {
    const [{ mkdir, rename, rm, stat, writeFile }, { basename, dirname, join }] = await Promise.all([
      import("node:fs/promises"),
      import("node:path"),
    ]);
    const isFolder = /[\\/]$/.test(path) || (await stat(path).then((found) => found.isDirectory(), () => false));
    const place = isFolder ? join(path, this.name) : path;
    await mkdir(dirname(place), { recursive: true });
    const draft = join(dirname(place), `.${basename(place)}.${crypto.randomUUID()}.part`);
    try {
      await this.#received(options.signal, (parts) => writeFile(draft, parts));
      await rename(draft, place);
    } finally {
      await rm(draft, { force: true });
    }
    return place;
  }

  /** Let somebody receive the file, from its beginning again after what passes. */
  async #received(
    signal: AbortSignal | undefined,
    receive: (parts: AsyncGenerator<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await receive(this.#parts(signal));
      } catch (error) {
        const pause = pauseMs(error, attempt, RETRIES, true);
        if (pause === undefined) throw error;
        await sleep(pause, signal);
      }
    }
  }

  /** The parts of a file that is as long as it should be. */
  async *#parts(signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    let left = this.resource.size;
    for await (const part of this.#transport.download(this.url, signal)) {
      left -= part.length;
      if (left < 0) break;
      yield part;
    }
    if (left !== 0) throw new ConnectionFailed("the download has another length than the file", { sent: true });
  }
}
