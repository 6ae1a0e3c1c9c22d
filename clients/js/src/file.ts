/** Files that tasks deliver. */
import { ConnectionFailed } from "./errors.js";
import type { Transport } from "./transport.js";
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
    for (let attempt = 0; ; attempt++) {
      const content = await this.#transport.download(this.url, options.signal);
      if (content.length === this.resource.size) return content;
      if (attempt === RETRIES) throw new ConnectionFailed("the download ended too early", { sent: true });
    }
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
      await writeFile(draft, await this.bytes(options));
      await rename(draft, place);
    } finally {
      await rm(draft, { force: true });
    }
    return place;
  }
}
