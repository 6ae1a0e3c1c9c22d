/** Requests over HTTP: with the key, repeated where that is safe, answered or refused with a reason. */
import { Aborted, ApiError, BadAnswer, ConnectionFailed, NotConfigured, ServerError, docsUrl, refused } from "./errors.js";
import { Silence, sleep } from "./timing.js";
import { VERSION } from "./version.js";

/** Where `make up` of Modellix listens. */
const LOCAL = "http://127.0.0.1:8000";
const LONGEST_PAUSE_MS = 60_000;
/** Refusals that say that nothing was done: sent again, any request is safe. */
const DEFINITE = [429, 503];
/** Faults before anything was sent, as Node names them. */
const UNSENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** The page about an error, wherever the operator has put the documentation (RFC 8288). */
const HELP = /^<(https?:\/\/[^>\s]+)>; rel="help"/;

export interface ClientOptions {
  /** `MODELLIX_API_KEY` unless given. */
  apiKey?: string;
  /** Origin of the platform: `MODELLIX_BASE_URL` unless given, else http://127.0.0.1:8000. */
  baseURL?: string;
  /** The longest silence of the API, in milliseconds; 60,000 unless given. */
  timeoutMs?: number;
  /** The most repetitions of a request; 3 unless given. */
  maxRetries?: number;
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** One request, before it has an address and a key. */
export interface ApiRequest {
  method: string;
  path: string;
  query?: Record<string, string | number | undefined>;
  /** JSON. */
  body?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  /** Whether it may be sent again though the first may have arrived: reads, and what has an Idempotency-Key. */
  repeatable: boolean;
  /** Milliseconds of silence that end it; the client's own unless given. A function is asked after each part. */
  silenceMs?: number | (() => number);
  signal?: AbortSignal | undefined;
}

export class Transport {
  readonly origin: string;
  readonly #key: string;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;
  readonly #fetch: typeof fetch;

  /** @throws NotConfigured */
  constructor(options: ClientOptions) {
    const env = globalThis.process?.env ?? {};
    this.origin = originOf(options.baseURL || env["MODELLIX_BASE_URL"] || LOCAL);
    this.#key = keyOf(options.apiKey || env["MODELLIX_API_KEY"], this.origin);
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    this.#maxRetries = options.maxRetries ?? 3;
    this.#fetch = options.fetch ?? ((...given) => fetch(...given));
  }

  /** The `data` of an answer. */
  async data(request: ApiRequest): Promise<any> {
    const [said, answer] = await this.#parsed(request);
    if (said?.code !== 0 || said.data === undefined) throw this.#bad(request, answer);
    return said.data;
  }

  /** A whole JSON object: answers of the routes that are not Modellix's own. */
  async json(request: ApiRequest): Promise<any> {
    const [said, answer] = await this.#parsed(request);
    if (said === null || typeof said !== "object") throw this.#bad(request, answer);
    return said;
  }

  /** The parts of a body as they come; nothing at all where there is none to come (204). */
  async *stream(request: ApiRequest): AsyncGenerator<Uint8Array> {
    const [answer, silence] = await this.#again(request, async (silence) => [await this.#attempt(request, silence), silence] as const);
    const reader = answer.body?.getReader();
    try {
      for (;;) {
        silence.broken();
        const part = await reader?.read();
        if (part?.value === undefined) return;
        yield part.value;
      }
    } catch (error) {
      throw this.#failed(request, error, true);
    } finally {
      silence.over();
      await reader?.cancel().catch(() => {});
    }
  }

  /** The parts of what is at a public link, which gets no key. One attempt. @throws ApiError, ConnectionFailed, Aborted */
  async *download(url: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const silence = new Silence(this.#timeoutMs, signal);
    try {
      const answer = await this.#fetch(url, { signal: silence.signal });
      if (answer.status >= 400) throw this.#refusal(answer, await answer.text());
      for await (const part of answer.body ?? []) {
        silence.broken();
        yield part;
      }
    } catch (error) {
      const request = { method: "GET", path: new URL(url).pathname, repeatable: true, signal };
      throw error instanceof ApiError ? error : this.#failed(request, error, true);
    } finally {
      silence.over();
    }
  }

  async #parsed(request: ApiRequest): Promise<[any, Response]> {
    const [text, answer, silence] = await this.#again(request, async (silence) => {
      const answer = await this.#attempt(request, silence);
      silence.broken();
      const text = await answer.text().catch((error: unknown) => {
        throw this.#failed(request, error, true);
      });
      return [text, answer, silence] as const;
    });
    silence.over();
    try {
      return [JSON.parse(text), answer];
    } catch {
      throw this.#bad(request, answer);
    }
  }

  /** What an attempt gives, the first that does. Whoever gets it ends the silence that it came with. */
  async #again<Result>(request: ApiRequest, attempt: (silence: Silence) => Promise<Result>): Promise<Result> {
    for (let number = 0; ; number++) {
      const silence = new Silence(request.silenceMs ?? this.#timeoutMs, request.signal);
      try {
        return await attempt(silence);
      } catch (error) {
        silence.over();
        const pause = pauseMs(error, number, this.#maxRetries, request.repeatable);
        if (pause === undefined) throw error;
        await sleep(pause, request.signal).catch((aborted: unknown) => {
          throw this.#failed(request, aborted, true);
        });
      }
    }
  }

  async #attempt(request: ApiRequest, silence: Silence): Promise<Response> {
    const requestId = crypto.randomUUID().replaceAll("-", "");
    const url = new URL(request.path, this.origin);
    if (url.origin !== this.origin) throw new NotConfigured(`'${request.path}' is no path of ${this.origin}`);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = {
      Authorization: `Bearer ${this.#key}`,
      "User-Agent": `modellix-js/${VERSION}`,
      "X-Request-Id": requestId,
      ...(request.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...request.headers,
    };
    const body = request.form ?? (request.body === undefined ? null : JSON.stringify(request.body));
    let answer: Response;
    let text = "";
    try {
      // A redirect is no answer of the API, and the key goes nowhere else.
      answer = await this.#fetch(url, { method: request.method, headers, body, redirect: "manual", signal: silence.signal });
      if (answer.status >= 400) text = await answer.text();
    } catch (error) {
      throw this.#failed(request, error, !isUnsent(error), requestId);
    }
    if (answer.status < 400) return answer;
    const error = this.#refusal(answer, text);
    error.idempotencyKey = request.headers?.["Idempotency-Key"];
    throw error;
  }

  #refusal(answer: Response, body: string): ApiError {
    const message = messageOf(body) ?? `HTTP ${answer.status} from ${this.origin}, without an explanation`;
    const waited = answer.headers.get("Retry-After") ?? "";
    const category = message.includes(": ") ? message.slice(0, message.indexOf(": ")) : "index";
    return refused(message, {
      status: answer.status,
      requestId: answer.headers.get("X-Request-Id") ?? undefined,
      docsUrl: HELP.exec(answer.headers.get("Link") ?? "")?.[1] ?? docsUrl(this.origin, category),
      retryAfterMs: /^\d+$/.test(waited) ? Number(waited) * 1000 : undefined,
      mayRetry: answer.headers.get("X-Should-Retry") !== "false",
    });
  }

  #failed(request: ApiRequest, error: unknown, sent: boolean, requestId?: string): ConnectionFailed | Aborted {
    const what = sent ? "the connection was lost" : "no connection";
    const failed = request.signal?.aborted
      ? new Aborted(`${request.method} ${request.path} was aborted`, { cause: request.signal.reason })
      : new ConnectionFailed(`${this.origin}: ${what} (${told(error)})`, {
          sent,
          cause: error,
          ...(requestId && { requestId }),
        });
    failed.idempotencyKey = request.headers?.["Idempotency-Key"];
    return failed;
  }

  #bad(request: ApiRequest, answer: Response): BadAnswer {
    const where = `${this.origin}${request.path}`;
    return new BadAnswer(`${where} did not answer like Modellix (HTTP ${answer.status}): check the base URL`, {
      status: answer.status,
      requestId: answer.headers.get("X-Request-Id") ?? undefined,
    });
  }
}

/** Milliseconds until the next attempt, the first being number 0; undefined if there is to be none. */
export function pauseMs(error: unknown, attempt: number, most: number, repeatable: boolean): number | undefined {
  if (attempt >= most) return undefined;
  const spread = Math.random() * 250;
  const backoff = Math.min(500 * 2 ** attempt, 8_000) + spread;
  if (error instanceof ConnectionFailed) return repeatable || !error.sent ? backoff : undefined;
  if (!(error instanceof ApiError) || !error.mayRetry) return undefined;
  if (DEFINITE.includes(error.status)) {
    if (error.retryAfterMs === undefined) return backoff;
    return error.retryAfterMs <= LONGEST_PAUSE_MS ? error.retryAfterMs + spread : undefined;
  }
  return repeatable && error instanceof ServerError ? backoff : undefined;
}

function originOf(text: string): string {
  const trimmed = text.trim().replace(/\/+$/, "").replace(/(\/api)?\/v1$/, "");
  const url = URL.canParse(trimmed) ? new URL(trimmed) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search || url.username) {
    throw new NotConfigured(`the base URL '${text}' is no origin such as https://modellix.example.com`);
  }
  return url.origin;
}

function keyOf(text: string | undefined, origin: string): string {
  const key = text?.trim();
  if (!key) throw new NotConfigured(`no API key for ${origin}: set MODELLIX_API_KEY, or give apiKey`);
  if (!/^[!-~]+$/.test(key)) throw new NotConfigured("the API key has characters that no key has");
  return key;
}

/** The message of a refusal in either form: Modellix's own, and that of the OpenAI-compatible routes. */
function messageOf(body: string): string | undefined {
  try {
    const said = JSON.parse(body);
    const message = said.message ?? said.error?.message;
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function isUnsent(error: unknown): boolean {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause;
  return UNSENT.has(String(cause?.code));
}

/** What happened, which `fetch` puts into the cause of its error. */
function told(error: unknown): string {
  const { cause } = error as Error;
  return (cause instanceof Error && (cause.message || (cause as NodeJS.ErrnoException).code)) || String((error as Error)?.message ?? error);
}
