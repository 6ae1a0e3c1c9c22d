// Made from the API's own description by scripts/js_types.py: change it there.

export interface AcceptedTask {
  status: "pending";
  /** A task */
  task_id: string;
  /** The model's id, without its provider */
  model_id: string;
  /** Milliseconds that the acceptance took */
  duration: number;
  /** How to read the result */
  get_result: {
    method: "GET";
    url: string;
  };
  /** With `X-Queue: wait`: position in the queue; 1 starts next */
  queue_position?: number;
}

export interface PendingTask {
  status: "pending";
  /** A task */
  task_id: string;
  /** The model's id, without its provider */
  model_id: string;
  /** With `X-Queue: wait`: position in the queue; 1 starts next */
  queue_position?: number;
}

export interface SucceededTask {
  status: "success";
  /** A task */
  task_id: string;
  /** The model's id, without its provider */
  model_id: string;
  /** Milliseconds from the submission to the end */
  duration: number;
  result: {
    resources: Resource[];
    /** Counts, and what the model delivers beside its files */
    metadata: {
      /** The vendor's id of the job */
      request_id?: string | null;
      image_count?: number;
      /** Total seconds of all videos */
      video_duration?: number;
      [name: string]: unknown;
    };
    extensions: {
      submit_time: string;
      end_time: string;
    };
  };
  billing: {
    /** The charge, in USD */
    amount: number;
  };
  /** From then on the task answers 404, and its files are deleted */
  result_expires_at: string;
}

/** Costs nothing */
export interface FailedTask {
  status: "failed";
  /** A task */
  task_id: string;
  /** The model's id, without its provider */
  model_id: string;
  /** Milliseconds from the submission to the end */
  duration: number;
  result: {
    resources: Resource[];
    /** Counts, and what the model delivers beside its files */
    metadata: {
      /** The vendor's id of the job */
      request_id?: string | null;
      image_count?: number;
      /** Total seconds of all videos */
      video_duration?: number;
      [name: string]: unknown;
    };
    extensions: {
      submit_time: string;
      end_time: string;
    };
  };
  billing: {
    /** The charge, in USD */
    amount: number;
  };
  /** From then on the task answers 404, and its files are deleted */
  result_expires_at: string;
  error: {
    code: "invalid_input" | "content_rejected" | "upstream_refused" | "deadline" | "result_unavailable" | "submission_outcome_unknown" | "quarantined" | "canceled";
    /** Explanation of the code */
    message: string;
  };
}

export type TaskState = PendingTask | SucceededTask | FailedTask;

/** One file of a result */
export interface Resource {
  /** Signed public link, until the result expires */
  url: string;
  type: "image" | "video" | "audio";
  /** Pixels */
  width: number | null;
  /** Pixels */
  height: number | null;
  /** Extension of the file name */
  format: string;
  /** `primary`, or another form of the same */
  role: string;
  /** Bytes */
  size: number;
  /** Seconds; null for images */
  duration: number | null;
}

export type StreamedEvent = {
  event: "accepted";
  data: AcceptedTask;
} | {
  event: "status";
  data: {
    status: "pending";
    /** A task */
    task_id: string;
    /** The model's id, without its provider */
    model_id: string;
    stage: "queued" | "running" | "storing";
    /** With `X-Queue: wait`: position in the queue; 1 starts next */
    queue_position?: number;
  } | SucceededTask | FailedTask;
  /** The task's latest move */
  id: string;
} | {
  event: "queue";
  data: {
    /** A task */
    task_id: string;
    /** With `X-Queue: wait`: position in the queue; 1 starts next */
    queue_position: number;
  };
} | {
  event: "progress";
  data: {
    /** A task */
    task_id: string;
    progress: number;
  };
} | {
  event: "refusal";
  data: {
    /** HTTP status */
    code: number;
    message: string;
  };
};

export interface ListedTask {
  /** A task */
  task_id: string;
  /** `provider/id` */
  model: string;
  status: "pending" | "success" | "failed";
  /** The number of an API key */
  key_id: number | null;
  key_name: string | null;
  submit_time: string;
  end_time: string | null;
  /** Milliseconds */
  duration: number | null;
  /** The most that it can cost, in USD */
  quote: number;
  /** What was charged, in USD */
  cost: number;
  error_code: "invalid_input" | "content_rejected" | "upstream_refused" | "deadline" | "result_unavailable" | "submission_outcome_unknown" | "quarantined" | "canceled" | null;
  error_message: string | null;
  /** The parameters as accepted, defaults filled in */
  input: {
    [name: string]: unknown;
  };
}

export interface Model {
  /** `provider/id` */
  slug: string;
  type: "text-to-image" | "image-to-image" | "text-to-video" | "image-to-video" | "video-to-video";
  provider: string;
  description: string;
  docs_url: string;
  /** For people */
  name: string;
  /** Of the cheapest image or second, in USD; null if unpriced */
  price_usd: number | null;
  /** When the vendor retires the model */
  retires: string | null;
  /** One of the few to begin with */
  featured: boolean;
  /** Price of one image or one second, in USD; absent if unpriced */
  price?: {
    /** USD, at most six decimals */
    fixed: number;
    unit: "$/img" | "$/sec";
  } | {
    /** USD, at most six decimals */
    min: number;
    /** USD, at most six decimals */
    max: number;
    unit: "$/img" | "$/sec";
  };
}

export interface ModelDetails {
  /** `provider/id` */
  slug: string;
  type: "text-to-image" | "image-to-image" | "text-to-video" | "image-to-video" | "video-to-video";
  provider: string;
  description: string;
  docs_url: string;
  /** For people */
  name: string;
  /** Of the cheapest image or second, in USD; null if unpriced */
  price_usd: number | null;
  /** When the vendor retires the model */
  retires: string | null;
  /** One of the few to begin with */
  featured: boolean;
  /** JSON Schema (2020-12) of a submission's body */
  schema: {
    [name: string]: unknown;
  };
  prices: {
    tier: string;
    unit: "image" | "second";
    /** Null: unpriced, and refused in live mode */
    usd: number | null;
  }[];
  /** A task that is unfinished so many seconds after its submission fails and costs nothing */
  deadline_s: number;
  /** A body that works unchanged in test mode */
  example: {
    [name: string]: unknown;
  };
  submit: {
    method: "POST";
    url: string;
  };
  /** Price of one image or one second, in USD; absent if unpriced */
  price?: {
    /** USD, at most six decimals */
    fixed: number;
    unit: "$/img" | "$/sec";
  } | {
    /** USD, at most six decimals */
    min: number;
    /** USD, at most six decimals */
    max: number;
    unit: "$/img" | "$/sec";
  };
}

export interface Quote {
  /** `provider/id` */
  model: string;
  /** What the task would hold: the most that it can cost, in USD */
  cost: number;
  /** The same in micro-dollars */
  cost_micros: number;
  unit: "image" | "second";
  /** Price of one unit, in USD */
  unit_cost: number;
  /** Images, or seconds */
  units: number;
  tier: string;
}

export interface UploadedFile {
  /** An uploaded file */
  file_id: string;
  type: "image" | "video" | "audio";
  /** Signed public link, until the file expires or is deleted */
  url: string;
  filename: string;
  /** Bytes */
  size: number;
  /** Unix milliseconds */
  created_at: number;
  /** Unix milliseconds */
  expires_at: number;
}

/** A task that makes a video */
export interface Video {
  /** A task */
  id: string;
  object: "video";
  model: string;
  status: "queued" | "in_progress" | "completed" | "failed";
  /** 0, and 100 when it is complete */
  progress: number;
  /** Unix seconds */
  created_at: number;
  /** Unix seconds */
  completed_at: number | null;
  /** Unix seconds */
  expires_at: number | null;
  prompt: string | null;
  /** Its length */
  seconds: string;
  /** `WIDTHxHEIGHT`; empty where the model decides, until it is complete */
  size: string;
  /** A task */
  remixed_from_video_id: string | null;
  error: {
    code: "invalid_input" | "content_rejected" | "upstream_refused" | "deadline" | "result_unavailable" | "submission_outcome_unknown" | "quarantined" | "canceled";
    message: string;
  } | null;
  /** The clip, until the result expires */
  url?: string;
}
