/** The client: one key of one installation. */
import { opened, asSent, type Uploadable } from "./inputs.js";
import { Task, type WaitOptions } from "./task.js";
import { Transport, type ClientOptions } from "./transport.js";
import type { ListedTask, Model, ModelDetails, Quote, UploadedFile } from "./types.js";

/** A model's parameters. One that takes a file takes a link, a `Blob`, bytes, a URL, a `ResultFile` or an uploaded file. */
export type Parameters = Record<string, unknown>;

export interface SubmitOptions {
  /** USD; a task that could cost more is refused. */
  maxCost?: number;
  /** Wait for a free slot in place of a refusal (ConcurrencyLimited). */
  queue?: boolean;
  /** Gets a message when the task has ended. */
  webhookUrl?: string;
  /**
   * The same key with the same parameters is the same task. A new one unless given; also the errors have it, so that a
   * submission without an answer can be repeated without being paid twice.
   */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface RequestOptions {
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Talks to the API with one key: `apiKey` and `baseURL`, or `MODELLIX_API_KEY` and `MODELLIX_BASE_URL`. */
export class Client {
  readonly #transport: Transport;

  /** @throws NotConfigured without a key */
  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
  }

  /** The origin of the platform. */
  get baseURL(): string {
    return this.#transport.origin;
  }

  /**
   * Submit a task and wait for its end: its `files` are what it made. Where it is full of others, the task waits for its
   * turn, unless `queue` is false.
   *
   * @throws TaskFailed, TimedOut (the task goes on, the error has its id), ApiError, ConnectionFailed, Aborted
   */
  async run(model: string, input: Parameters = {}, options: SubmitOptions & WaitOptions = {}): Promise<Task> {
    const task = await this.submit(model, input, { queue: true, ...options });
    return task.wait(options);
  }

  /** Submit a task and return at once. @throws ApiError, ConnectionFailed, Aborted */
  async submit(model: string, input: Parameters = {}, options: SubmitOptions = {}): Promise<Task> {
    const { maxCost, queue, webhookUrl, idempotencyKey = crypto.randomUUID(), signal } = options;
    const headers: Record<string, string> = { "Idempotency-Key": idempotencyKey };
    if (maxCost !== undefined) headers["X-Max-Cost"] = maxCost.toFixed(6);
    if (queue) headers["X-Queue"] = "wait";
    if (webhookUrl !== undefined) headers["X-Webhook-URL"] = webhookUrl;
    const body = await this.#sent(input, signal);
    const request = { method: "POST", path: `/api/v1/${model}`, body, headers, repeatable: true, signal };
    return new Task(this.#transport, await this.#transport.data(request));
  }

  /** A task by its id. @throws NotFound once its result has expired */
  async task(id: string): Promise<Task> {
    return new Task(this.#transport, { status: "pending", task_id: id, model_id: "" }).refresh();
  }

  /** The most that a task can cost, before it is submitted. */
  async quote(model: string, input: Parameters = {}): Promise<Quote> {
    const body = { model, input: await this.#sent(input) };
    return this.#transport.data({ method: "POST", path: "/api/v1/quote", body, repeatable: true });
  }

  /** The catalogue; `category` is `image` or `video`. */
  async models(filter: { type?: Model["type"]; provider?: string; category?: string } = {}): Promise<Model[]> {
    return (await this.request("GET", "/api/v1/models", { query: filter })).models;
  }

  /** One model: what it takes and what it costs. @throws NotFound */
  async model(model: string): Promise<ModelDetails> {
    return this.request("GET", `/api/v1/models/${model}`);
  }

  /** Upload a file, to be an input. It is free and kept for days. Not repeated after a lost answer. */
  async upload(file: Uploadable, options: { filename?: string; signal?: AbortSignal } = {}): Promise<UploadedFile> {
    const { blob, filename } = await opened(file, options.filename);
    const form = new FormData();
    form.append("file", blob, filename);
    const { signal } = options;
    // How long it takes depends on the line: there is no silence that would tell.
    const request = { method: "POST", path: "/api/v1/media/files", form, repeatable: false, silenceMs: Infinity, signal };
    return this.#transport.data(request);
  }

  /** Delete an uploaded file. */
  async deleteFile(fileId: string): Promise<void> {
    await this.request("DELETE", `/api/v1/media/files/${fileId}`);
  }

  /** What the team has left, in USD, in the key's mode. */
  async balance(): Promise<number> {
    return (await this.request("GET", "/api/v1/team/balance")).balance;
  }

  /** The team's tasks, newest first, read page by page. Times are ISO 8601 or Unix seconds. */
  async *tasks(
    filter: { status?: ListedTask["status"]; model?: string; since?: string; until?: string } = {},
  ): AsyncGenerator<ListedTask, void, undefined> {
    const { since: from, until: to, ...rest } = filter;
    let cursor: string | undefined;
    do {
      const page = await this.request("GET", "/api/v1/tasks", { query: { ...rest, from, to, limit: 100, cursor } });
      yield* page.tasks;
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
  }

  /** Any other route: the `data` of its answer. Only reads, and what has an Idempotency-Key, are repeated. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<any> {
    const repeatable = method === "GET" || method === "DELETE" || "Idempotency-Key" in (options.headers ?? {});
    return this.#transport.data({ method, path, ...options, repeatable });
  }

  async #sent(input: Parameters, signal?: AbortSignal): Promise<unknown> {
    return asSent(input, async (file) => (await this.upload(file, { ...(signal && { signal }) })).file_id);
  }
}
