/** Time: how long there was silence, how long is left, and pauses that can be aborted. */
import { Aborted } from "./errors.js";

/** Ends a request after so many milliseconds without a sign of life, or when the caller aborts it. */
export class Silence {
  readonly signal: AbortSignal;
  readonly #allowedMs: number | (() => number);
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(allowedMs: number | (() => number), outer?: AbortSignal) {
    this.#allowedMs = allowedMs;
    this.signal = outer ? AbortSignal.any([outer, this.#controller.signal]) : this.#controller.signal;
    this.broken();
  }

  /** There was a sign of life: count from now. */
  broken(): void {
    clearTimeout(this.#timer);
    const allowedMs = typeof this.#allowedMs === "number" ? this.#allowedMs : this.#allowedMs();
    if (allowedMs === Infinity) return;
    const why = new DOMException(`silence of ${Math.round(allowedMs)} ms`, "TimeoutError");
    this.#timer = setTimeout(() => this.#controller.abort(why), allowedMs);
  }

  /** Nothing more is expected. */
  over(): void {
    clearTimeout(this.#timer);
  }
}

/** So many milliseconds from now; Infinity is forever. */
export class Deadline {
  readonly #endsAt: number;

  constructor(timeoutMs: number) {
    this.#endsAt = performance.now() + timeoutMs;
  }

  /** Milliseconds left, at most so many; 0 when it has passed. */
  leftMs(most: number): number {
    return Math.max(0, Math.min(most, this.#endsAt - performance.now()));
  }
}

/** @throws Aborted */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const aborted = () => new Aborted("the wait was aborted", { cause: signal?.reason });
  if (signal?.aborted) throw aborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
