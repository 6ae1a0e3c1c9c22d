/**
 * Provider for the AI SDK: image and video models.
 *
 *     import { generateImage } from "ai";
 *     import { modellix } from "@modellix/client/ai-sdk";
 *
 *     const { image } = await generateImage({ model: modellix.image("alibaba/qwen-image-plus"), prompt: "A cat" });
 *
 * The words of the AI SDK become a model's own parameters in the platform, which takes the closest size and length that
 * the model has; warnings tell what it took. `providerOptions.modellix` has parameters of the model itself.
 *
 * @module
 */
import type {
  Experimental_VideoModelV4 as VideoModelV4,
  Experimental_VideoModelV4CallOptions as VideoOptions,
  Experimental_VideoModelV4File as VideoInput,
  Experimental_VideoModelV4OperationStatusResult as OperationStatus,
  Experimental_VideoModelV4Result as VideoResult,
  ImageModelV4,
  ImageModelV4CallOptions as ImageOptions,
  ImageModelV4File as ImageInput,
  ImageModelV4Result as ImageResult,
  JSONValue,
  ProviderV4,
  SharedV4Warning as Warning,
} from "@ai-sdk/provider";
import { ModellixError, TaskFailed } from "./errors.js";
import { Task } from "./task.js";
import { Transport, type ClientOptions } from "./transport.js";
import type { ModelDetails, Video } from "./types.js";

export interface ModellixProvider extends ProviderV4 {
  /** An image model, such as `alibaba/qwen-image-plus`. */
  image(modelId: string): ImageModelV4;
  imageModel(modelId: string): ImageModelV4;
  /** A video model, such as `minimax/hailuo-2.3-t2v`. */
  video(modelId: string): VideoModelV4;
  videoModel(modelId: string): VideoModelV4;
}

/** A provider with an address and a key of its own; both from the environment unless given. */
export function createModellix(options: ClientOptions = {}): ModellixProvider {
  let made: Transport | undefined;
  // Not before the first request: what has no key may still be imported.
  const transport = () => (made ??= new Transport(options));
  const image = (modelId: string) => new ModellixImageModel(modelId, transport);
  const video = (modelId: string) => new ModellixVideoModel(modelId, transport);
  const none = (kind: string) => (modelId: string) => {
    throw new ModellixError(`Modellix has image and video models: '${modelId}' cannot be a ${kind} model`);
  };
  return {
    specificationVersion: "v4",
    image,
    imageModel: image,
    video,
    videoModel: video,
    languageModel: none("language"),
    embeddingModel: none("embedding"),
  };
}

/** The provider of `MODELLIX_API_KEY` and `MODELLIX_BASE_URL`. */
export const modellix: ModellixProvider = createModellix();

/** The platform answers within 280 s, or says that the task still runs. */
const LONGEST_ANSWER_MS = 295_000;
/** Where a ratio becomes a size, and the model does not say which size it usually has. */
const USUAL_AREA = { image: 1024 * 1024, video: 1280 * 720 };

type Properties = Record<string, { type?: string; enum?: unknown[]; default?: unknown; maximum?: number } | undefined>;
type Body = Record<string, unknown>;

class ModellixModel {
  readonly specificationVersion = "v4";
  readonly modelId: string;
  readonly transport: () => Transport;
  #properties: Promise<Properties> | undefined;

  constructor(modelId: string, transport: () => Transport) {
    this.modelId = modelId;
    this.transport = transport;
  }

  /** The model's parameters. They are asked for once. */
  async properties(): Promise<Properties> {
    this.#properties ??= this.transport()
      .data({ method: "GET", path: `/api/v1/models/${this.modelId}`, repeatable: true })
      .then((model: ModelDetails) => (model.schema["properties"] ?? {}) as Properties);
    return this.#properties.catch((error: unknown) => {
      this.#properties = undefined;
      throw error;
    });
  }

  /** Send a request that may be repeated, as it is named by a key: the caller's, or a new one. */
  async post(path: string, body: Body, options: ImageOptions | VideoOptions): Promise<any> {
    const given = Object.entries(options.headers ?? {}).filter(([, value]) => value !== undefined) as [string, string][];
    const headers = Object.fromEntries(given.filter(([name]) => name.toLowerCase() !== "idempotency-key"));
    const key = given.find(([name]) => name.toLowerCase() === "idempotency-key")?.[1] ?? crypto.randomUUID();
    return this.transport().json({
      method: "POST",
      path,
      body: { ...body, ...options.providerOptions["modellix"], model: this.modelId },
      headers: { "X-Queue": "wait", ...headers, "Idempotency-Key": key },
      repeatable: true,
      silenceMs: LONGEST_ANSWER_MS,
      signal: options.abortSignal,
    });
  }

  /** A ratio as the model's own parameter where it has one, else as the size that the platform finds the closest of. */
  shape(said: Properties, ratio: string, usualArea: number): Body {
    for (const name of ["ratio", "aspect_ratio"]) {
      if (said[name]?.enum?.includes(ratio)) return { [name]: ratio };
    }
    const [wide = 1, high = 1] = ratio.split(":").map(Number);
    const usual = /^(\d+)[x*](\d+)$/.exec(String(said["size"]?.default));
    const area = usual ? Number(usual[1]) * Number(usual[2]) : usualArea;
    const width = Math.sqrt((area * wide) / high);
    return { size: `${Math.round(width)}x${Math.round((width * high) / wide)}` };
  }

  response(): ImageResult["response"] {
    return { timestamp: new Date(), modelId: this.modelId, headers: undefined };
  }
}

class ModellixImageModel extends ModellixModel implements ImageModelV4 {
  readonly provider = "modellix.image";
  readonly supportsFileInputs = undefined;
  readonly supportsMaskInputs = undefined;

  readonly maxImagesPerCall = async (): Promise<number> => (await this.properties())["n"]?.maximum ?? 1;

  async doGenerate(options: ImageOptions): Promise<ImageResult> {
    const said = await this.properties();
    const warnings: Warning[] = [];
    const body: Body = { prompt: options.prompt, n: options.n };
    if (options.size) body["size"] = options.size;
    else if (options.aspectRatio) Object.assign(body, this.shape(said, options.aspectRatio, USUAL_AREA.image));
    if (options.seed !== undefined) put(body, said, ["seed"], options.seed, "seed", warnings);
    const files = options.files ?? [];
    if (files.length) body["image"] = files.map(linkOf);
    if (options.mask) body["mask"] = linkOf(options.mask);
    const answer = await this.post(files.length ? "/v1/images/edits" : "/v1/images/generations", body, options);
    tookAnother(warnings, "size", options.size, answer.size);
    const images = answer.data.map((one: { b64_json: string }) => one.b64_json);
    const about = { taskId: answer.task_id, model: answer.model, taskCost: answer.billing.amount };
    return {
      images,
      warnings,
      providerMetadata: { modellix: { images: images.map(() => about) } },
      response: this.response(),
    };
  }
}

class ModellixVideoModel extends ModellixModel implements VideoModelV4 {
  readonly provider = "modellix.video";
  readonly maxVideosPerCall = 1;

  async doGenerate(options: VideoOptions): Promise<VideoResult> {
    const { operation, warnings, response } = await this.doStart(options);
    const task = await this.#task(operation).wait({ ...(options.abortSignal && { signal: options.abortSignal }) });
    return { ...(await delivered(task, options.abortSignal)), warnings, response };
  }

  async doStart(options: VideoOptions) {
    const said = await this.properties();
    const warnings: Warning[] = [];
    const body: Body = { prompt: options.prompt };
    const { aspectRatio, resolution, duration } = options;
    if (resolution) body["size"] = resolution;
    else if (aspectRatio === "adaptive") put(body, said, ["ratio"], aspectRatio, "aspectRatio", warnings);
    else if (aspectRatio) Object.assign(body, this.shape(said, aspectRatio, USUAL_AREA.video));
    if (duration !== undefined) body["seconds"] = String(Math.round(duration));
    if (options.fps !== undefined) put(body, said, ["fps"], options.fps, "fps", warnings);
    if (options.seed !== undefined) put(body, said, ["seed"], options.seed, "seed", warnings);
    if (options.generateAudio !== undefined) {
      put(body, said, ["generate_audio", "audio"], options.generateAudio, "generateAudio", warnings);
    }
    this.#show(body, said, options, warnings);
    const video: Video = await this.post("/v1/videos", body, options);
    tookAnother(warnings, "duration", duration, video.seconds && Number(video.seconds));
    tookAnother(warnings, "resolution", resolution, video.size);
    const providerMetadata = { modellix: { taskId: video.id, model: video.model } };
    return { operation: video.id, warnings, providerMetadata, response: this.response() };
  }

  async doStatus(options: { operation: JSONValue; abortSignal?: AbortSignal }): Promise<OperationStatus> {
    const task = this.#task(options.operation);
    const response = this.response();
    try {
      await task.refresh({ ...(options.abortSignal && { signal: options.abortSignal }) });
      if (!task.checked().done) return { status: "pending", response };
      return { status: "completed", ...(await delivered(task, options.abortSignal)), warnings: [], response };
    } catch (error) {
      if (error instanceof TaskFailed) return { status: "error", error: `${error.code}: ${error.message}`, response };
      throw error;
    }
  }

  #task(operation: JSONValue): Task {
    return new Task(this.transport(), { status: "pending", task_id: String(operation), model_id: "" });
  }

  /** Pictures and clips: the platform gives pictures to the model in the order of its parameters. */
  #show(body: Body, said: Properties, options: VideoOptions, warnings: Warning[]): void {
    const references = options.inputReferences ?? [];
    const frame = (type: string) => options.frameImages?.find((one) => one.frameType === type)?.image;
    const first = options.image ?? frame("first_frame");
    const pictures = [...(first ? [first] : []), ...references.filter((one) => !isVideo(one))].map(linkOf);
    if (pictures.length) body["input_reference"] = pictures;
    const last = frame("last_frame");
    if (last) put(body, said, ["last_frame_image", "last_frame_url", "last_frame"], linkOf(last), "frameImages", warnings);
    const clips = references.filter(isVideo).map(linkOf);
    if (clips.length) {
      put(body, said, ["reference_videos", "video_urls", "video_url", "reference_urls"], clips, "inputReferences", warnings);
    }
  }
}

/** Put a value into the first of these parameters that the model has; a warning where it has none. */
function put(body: Body, said: Properties, names: string[], value: unknown, feature: string, warnings: Warning[]): void {
  const name = names.find((one) => said[one] && (said[one].enum?.includes(value) ?? true));
  if (!name) warnings.push({ type: "unsupported", feature, details: "The model has no such parameter." });
  else body[name] = Array.isArray(value) && said[name]?.type !== "array" ? value[0] : value;
}

/** Tell where the model made the closest to what was asked for. */
function tookAnother(warnings: Warning[], feature: string, asked: string | number | undefined, made: unknown): void {
  if (asked === undefined || !made || asked === made) return;
  warnings.push({ type: "compatibility", feature, details: `${made} is the closest to ${asked} that the model makes.` });
}

/** The clips themselves: the AI SDK would not load them from a private address, where a platform may well be. */
async function delivered(task: Task, signal?: AbortSignal): Promise<Pick<VideoResult, "videos" | "providerMetadata">> {
  const files = task.files.filter((file) => file.resource.type === "video");
  const videos = files.map(async (file) => ({
    type: "binary" as const,
    data: await file.bytes({ ...(signal && { signal }) }),
    mediaType: `video/${file.resource.format}`,
  }));
  const measures = files.map(({ resource: { width, height, duration } }) => ({ width, height, duration }));
  const about = { taskId: task.id, taskCost: task.cost ?? null, videos: measures };
  return { videos: await Promise.all(videos), providerMetadata: { modellix: about } };
}

function isVideo(file: VideoInput): boolean {
  return file.mediaType?.startsWith("video/") ?? false;
}

/** A link, or the file itself as a data URI. */
function linkOf(file: ImageInput | VideoInput): string {
  if (file.type === "url") return file.url;
  const { data, mediaType } = file;
  if (typeof data === "string") return `data:${mediaType};base64,${data}`;
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return `data:${mediaType};base64,${btoa(text)}`;
}
