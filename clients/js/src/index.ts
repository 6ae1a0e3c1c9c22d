/**
 * Client of Modellix: images and videos of 100+ models, by one API.
 *
 *     import { Client } from "@modellix/client";
 *
 *     const task = await new Client().run("alibaba/qwen-image-plus", { prompt: "A cat in a garden" });
 *     await task.files[0]?.save("cat.png");
 *
 * @module
 */
export { Client, type Parameters, type RequestOptions, type SubmitOptions } from "./client.js";
export { ModellixError } from "./errors.js";
export * as errors from "./errors.js";
export { ResultFile } from "./file.js";
export type { Uploadable } from "./inputs.js";
export { Task, type TaskEvent, type WaitOptions } from "./task.js";
export type { ClientOptions } from "./transport.js";
export type * from "./types.js";
export { VERSION } from "./version.js";
export * as webhooks from "./webhooks.js";
