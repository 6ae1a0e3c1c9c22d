/** A task: followed, waited for, canceled, and what it delivered. */
import {
  Aborted,
  BadAnswer,
  ConnectionFailed,
  ModellixError,
  RateLimited,
  ServerError,
  TaskFailed,
  TimedOut,
  docsUrl,
  refused,
} from "./errors.js";
import { ResultFile } from "./file.js";
import { messages } from "./server-sent.js";
import { Deadline, sleep } from "./timing.js";
import type { ApiRequest, Transport } from "./transport.js";
import type { AcceptedTask, StreamedEvent, SucceededTask, TaskState } from "./types.js";

/** How long to wait for the end of a task, unless told otherwise. */
export const LONGEST_MS = 1_800_000;
const LONG_POLL_MS = 20_000;
const RECONNECT_MS = 2_000;
/** Twice the time between the comments of an idle stream. */
const SILENCE_MS = 30_000;
/** How long an answer may take on its way, beside the time that was asked for. */
const ON_THE_WAY_MS = 5_000;
/** Errors that say nothing about the task: whoever waits for it goes on. */
const PASSING = [ConnectionFailed, RateLimited, ServerError, BadAnswer];

export interface WaitOptions {
  /** Milliseconds; 1,800,000 unless given. Infinity is forever. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Something that happened to a task. */
export interface TaskEvent {
  name: "status" | "queue" | "progress";
  status: TaskState["status"];
  /** While pending. */
  stage?: "queued" | "running" | "storing";
  /** With `queue`: 1 is the next to start. */
  queue_position?: number;
  /** From 0 to 1; few vendors report it. */
  progress?: number;
}

/** A task as it was when it was last read. */
export class Task {
  /** All that the API says about it. */
  state: TaskState;
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport, state: TaskState | AcceptedTask) {
    this.#transport = transport;
    this.state = state;
  }

  /** Its id, which outlives the program: `client.task(id)` finds it again. */
  get id(): string {
    return this.state.task_id;
  }

  get status(): TaskState["status"] {
    return this.state.status;
  }

  /** Whether it has ended. */
  get done(): boolean {
    return this.status !== "pending";
  }

  /** What was charged, in USD; undefined while it runs. */
  get cost(): number | undefined {
    return this.state.status === "pending" ? undefined : this.state.billing.amount;
  }

  /** What the model delivered beside its files. */
  get metadata(): SucceededTask["result"]["metadata"] {
    return this.state.status === "pending" ? {} : this.state.result.metadata;
  }

  /** What it delivered; nothing while it runs. */
  get files(): ResultFile[] {
    const resources = this.state.status === "pending" ? [] : this.state.result.resources;
    const start = `${this.state.model_id}-${this.id.slice(-8)}`;
    return resources.map((one, index) => {
      const number = resources.length > 1 ? `-${index + 1}` : "";
      return new ResultFile(this.#transport, one, `${start}${number}.${one.format}`);
    });
  }

  /** Read it again. @throws NotFound once its result has expired */
  async refresh(options: { signal?: AbortSignal } = {}): Promise<this> {
    return this.#read({ signal: options.signal });
  }

  /**
   * Wait for its end. A lost connection or a restart of the platform is waited out, as long as `timeoutMs` allows.
   *
   * @throws TaskFailed, TimedOut (it goes on), Aborted (it goes on), ApiError; each has the task's id
   */
  async wait(options: WaitOptions = {}): Promise<this> {
    const deadline = new Deadline(options.timeoutMs ?? LONGEST_MS);
    while (!this.done) {
      const leftMs = this.#left(deadline, LONG_POLL_MS, options);
      const query = { wait: Math.ceil(leftMs / 1000) };
      await this.#goingOn(deadline, options, () =>
        this.#read({ query, silenceMs: leftMs + ON_THE_WAY_MS, signal: options.signal }),
      );
    }
    return this.checked();
  }

  /**
   * Follow it: every change of status, position in the queue, progress, as they come (server-sent events). Ends with the
   * task, whose result is there then; a lost connection is made again.
   *
   * @throws TimedOut, Aborted, ApiError; each has the task's id
   */
  async *events(options: WaitOptions = {}): AsyncGenerator<TaskEvent, void, undefined> {
    const deadline = new Deadline(options.timeoutMs ?? LONGEST_MS);
    let lastId = "";
    while (!this.done) {
      this.#left(deadline, SILENCE_MS, options);
      const request = this.#request("GET", "/stream", {
        ...(lastId && { headers: { "Last-Event-ID": lastId } }),
        silenceMs: () => deadline.leftMs(SILENCE_MS),
        signal: options.signal,
      });
      const coming = messages(this.#transport.stream(request));
      try {
        let some = false;
        for (;;) {
          const message = await this.#goingOn(deadline, options, () => coming.next());
          if (!message || message.done) {
            // Nothing to come: it had ended before.
            if (message && !some) await this.#goingOn(deadline, options, () => this.refresh(options));
            break;
          }
          some = true;
          lastId = message.value.id || lastId;
          yield this.#told({ ...message.value, data: JSON.parse(message.value.data) } as StreamedEvent);
          if (this.done) return;
        }
      } finally {
        await coming.return(undefined);
      }
    }
  }

  /** End it if it costs nothing yet. False: not decided yet, its status will tell. @throws Conflict: too late */
  async cancel(): Promise<boolean> {
    const said = await this.#call(this.#request("POST", "/cancel"));
    if (said.status !== "failed") return false;
    await this.refresh();
    return true;
  }

  /** Delete what it delivered, now. @throws Conflict while it runs */
  async deleteResult(): Promise<void> {
    await this.#call(this.#request("DELETE", "/result"));
  }

  /** Itself. @throws TaskFailed if it has failed */
  checked(): this {
    if (this.state.status !== "failed") return this;
    const { code, message } = this.state.error;
    throw new TaskFailed(message, { code, docsUrl: docsUrl(this.#transport.origin, code), task: this });
  }

  async #read(about: Partial<ApiRequest>): Promise<this> {
    this.state = await this.#call(this.#request("GET", "", about));
    return this;
  }

  async #call(request: ApiRequest): Promise<any> {
    try {
      return await this.#transport.data(request);
    } catch (error) {
      throw this.#named(error);
    }
  }

  #request(method: string, below: string, about: Partial<ApiRequest> = {}): ApiRequest {
    return { method, path: `/api/v1/tasks/${this.id}${below}`, repeatable: method !== "POST", ...about };
  }

  /** The same error, with the task's id. */
  #named(error: unknown): unknown {
    if (error instanceof ModellixError) error.taskId = this.id;
    return error;
  }

  #left(deadline: Deadline, most: number, options: WaitOptions): number {
    const leftMs = deadline.leftMs(most);
    if (options.signal?.aborted) throw this.#named(new Aborted(`the wait for ${this.id} was aborted`, { cause: options.signal.reason }));
    if (leftMs === 0) throw new TimedOut(`${this.id} has not ended within ${options.timeoutMs ?? LONGEST_MS} ms`, this);
    return leftMs;
  }

  /** What is there after an error that passes: nothing, and a pause. */
  async #goingOn<Result>(deadline: Deadline, options: WaitOptions, call: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!PASSING.some((kind) => error instanceof kind)) throw this.#named(error);
      await sleep(deadline.leftMs(RECONNECT_MS), options.signal).catch((aborted: unknown) => {
        throw this.#named(aborted);
      });
      return undefined;
    }
  }

  #told(event: StreamedEvent): TaskEvent {
    switch (event.event) {
      case "refusal": {
        const { code: status, message } = event.data;
        const page = docsUrl(this.#transport.origin, message.split(":", 1)[0] ?? "");
        throw this.#named(refused(message, { status, requestId: undefined, docsUrl: page }));
      }
      case "status": {
        this.state = event.data;
        const { status } = event.data;
        if (event.data.status !== "pending") return { name: "status", status };
        const { stage, queue_position } = event.data;
        return { name: "status", status, stage, ...(queue_position !== undefined && { queue_position }) };
      }
      case "queue":
        return { name: "queue", status: this.status, queue_position: event.data.queue_position };
      case "progress":
        return { name: "progress", status: this.status, progress: event.data.progress };
      case "accepted":
        return { name: "status", status: event.data.status };
    }
  }
}
