/**
 * Errors: what was refused and why, which request it was, and the task that it is about.
 *
 *     ModellixError
 *     ├── NotConfigured          no API key, or an address that is none
 *     ├── ConnectionFailed       no answer, or only a part of one
 *     ├── BadAnswer              an answer that is not of this API
 *     ├── TimedOut               the task has not ended in time; it goes on
 *     ├── Aborted                the caller's signal; the task goes on
 *     ├── TaskFailed             the task has failed; it cost nothing
 *     ├── WebhookForged          a message that Modellix did not sign
 *     └── ApiError               the API refused the request
 *         ├── InvalidRequest         400, 405, 408, 413, 422
 *         ├── AuthenticationFailed   401
 *         ├── InsufficientBalance    402
 *         │   └── BudgetExceeded     402, of the key's or the team's budget
 *         ├── PermissionDenied       403
 *         ├── NotFound               404
 *         ├── Conflict               409
 *         ├── RateLimited            429
 *         │   └── ConcurrencyLimited 429, too many unfinished tasks
 *         └── ServerError            500 and above
 *             └── ServiceUnavailable 503, nothing was done
 */
import type { Task } from "./task.js";

/** Any error of this package. */
export class ModellixError extends Error {
  /** The task that it is about, as far as that is known. */
  taskId: string | undefined;
  /** Of a submission: sent again with it, a request is never paid twice. */
  idempotencyKey: string | undefined;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** There is no API key, or the base URL is no origin. */
export class NotConfigured extends ModellixError {}

/**
 * No answer came, or only a part of one. A submission may have been accepted: submitting it again with the same
 * `idempotencyKey` gives the same task.
 */
export class ConnectionFailed extends ModellixError {
  /** Whether the request may have reached the API. */
  readonly sent: boolean;
  readonly requestId: string | undefined;

  constructor(message: string, options: ErrorOptions & { sent: boolean; requestId?: string }) {
    super(message, options);
    this.sent = options.sent;
    this.requestId = options.requestId;
  }
}

/** The answer is not of this API: a proxy's page, or an address that leads elsewhere. */
export class BadAnswer extends ModellixError {
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(message: string, options: { status: number; requestId: string | undefined }) {
    super(message);
    this.status = options.status;
    this.requestId = options.requestId;
  }
}

/** The task has not ended within the time given. It goes on: wait again, by `task` or by `taskId`. */
export class TimedOut extends ModellixError {
  readonly task: Task;

  constructor(message: string, task: Task) {
    super(message);
    this.task = task;
    this.taskId = task.id;
  }
}

/** The caller's `signal` ended the call; `cause` is its reason. A submission may have been accepted, a task goes on. */
export class Aborted extends ModellixError {
  /** As errors of aborted calls are named everywhere. */
  override name = "AbortError";
}

/** The task has failed. It cost nothing. */
export class TaskFailed extends ModellixError {
  /** Such as `content_rejected`. */
  readonly code: string;
  readonly docsUrl: string;
  readonly task: Task;

  constructor(message: string, options: { code: string; docsUrl: string; task: Task }) {
    super(message);
    this.code = options.code;
    this.docsUrl = options.docsUrl;
    this.task = options.task;
    this.taskId = options.task.id;
  }
}

/** The signature does not fit the message, or the message is too old. */
export class WebhookForged extends ModellixError {}

/** What is known of a refusal beside its message. */
export interface Refusal {
  status: number;
  requestId: string | undefined;
  docsUrl: string;
  retryAfterMs?: number | undefined;
  /** False where the API says that another attempt changes nothing. */
  mayRetry?: boolean;
}

/** The API refused the request. The message is `<category>: <detail>`. */
export class ApiError extends ModellixError {
  readonly status: number;
  /** The same as `status`, as the API's answers call it. */
  readonly code: number;
  /** Such as `Rate limit exceeded`. */
  readonly category: string;
  readonly detail: string;
  /** Of the request in the request log: what an operator asks for. */
  readonly requestId: string | undefined;
  readonly docsUrl: string;
  readonly retryAfterMs: number | undefined;
  readonly mayRetry: boolean;

  constructor(message: string, refusal: Refusal) {
    super(message);
    const colon = message.indexOf(": ");
    this.status = this.code = refusal.status;
    this.category = colon < 0 ? "" : message.slice(0, colon);
    this.detail = colon < 0 ? message : message.slice(colon + 2);
    this.requestId = refusal.requestId;
    this.docsUrl = refusal.docsUrl;
    this.retryAfterMs = refusal.retryAfterMs;
    this.mayRetry = refusal.mayRetry ?? true;
  }
}

/** The request is wrong and will stay so. */
export class InvalidRequest extends ApiError {}
/** No key, or one that is unknown, revoked or expired. */
export class AuthenticationFailed extends ApiError {}
/** The quote exceeds the available balance. */
export class InsufficientBalance extends ApiError {}
/** The quote exceeds what is left of a budget. */
export class BudgetExceeded extends InsufficientBalance {}
/** The key may not do this, or may not use this model. */
export class PermissionDenied extends ApiError {}
/** Unknown, expired, or another team's. */
export class NotFound extends ApiError {}
/** It comes too late, or too early. */
export class Conflict extends ApiError {}
/** Too many requests a minute. `retryAfterMs` is exact. */
export class RateLimited extends ApiError {}
/** The team has as many unfinished tasks as it may have. */
export class ConcurrencyLimited extends RateLimited {}
/** A fault of the platform or of something before it. */
export class ServerError extends ApiError {}
/** Nothing was done, and the same request may succeed later. */
export class ServiceUnavailable extends ServerError {}

const BY_CATEGORY: Record<string, typeof ApiError> = {
  "Budget exceeded": BudgetExceeded,
  "Concurrent limit exceeded": ConcurrencyLimited,
};
const BY_STATUS: Record<number, typeof ApiError> = {
  401: AuthenticationFailed,
  402: InsufficientBalance,
  403: PermissionDenied,
  404: NotFound,
  409: Conflict,
  429: RateLimited,
  503: ServiceUnavailable,
};

/** @internal A refusal, as an error of its class. */
export function refused(message: string, refusal: Refusal): ApiError {
  const { status } = refusal;
  const byCategory = BY_CATEGORY[message.split(":", 1)[0] ?? ""];
  const kind = byCategory ?? BY_STATUS[status] ?? (status >= 500 ? ServerError : InvalidRequest);
  return new kind(message, refusal);
}

/** @internal The page about a category of refusals, or about the code of a failed task. */
export function docsUrl(origin: string, name: string): string {
  return `${origin}/docs/errors/${name.toLowerCase().replaceAll(/[ _]/g, "-")}`;
}
