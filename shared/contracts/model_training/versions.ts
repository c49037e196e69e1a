/** Versions of models: listed, described, imported, retired, and what is told of them. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { referenceBinsSchema, signatureSchema } from "../signature.ts";
import { instantSchema } from "../time.ts";
import { evaluationSchema } from "./evaluation.ts";
import { hintSchema } from "./report.ts";
import { tagsSchema } from "./tags.ts";

const service = "model-training";

const number = z.coerce.number();
const limit = number.int().min(1).max(500).default(50);

export const versionSchema = z.object({
  model: nameSchema,
  version: z.int().positive(),
  project: nameSchema,
  run: z.uuid(),
  /** Whether it was learnt here, or its file came from elsewhere. */
  origin: z.enum(["trained", "imported"]),
  algorithm: z.string(),
  /** SHA-256 of the ONNX file, its name in the file store. */
  sha256: z.string(),
  bytes: z.int(),
  signature: signatureSchema,
  /** SHA-256; null for an imported version of which it is not known. */
  trainingSet: z.string().nullable(),
  /** Null for an imported version that was not judged. */
  evaluation: evaluationSchema.nullable(),
  aliases: z.array(nameSchema),
  tags: tagsSchema,
  createdAt: instantSchema,
  /** Null while it may be served. */
  retiredAt: instantSchema.nullable(),
});
export type ModelVersion = z.infer<typeof versionSchema>;

export const listModels = endpoint({
  service,
  verb: "models",
  http: { method: "get", path: "/v1/models" },
  summary: "Models that have versions, by name",
  request: z.object({
    limit,
    /** The `next` of the page before. */
    after: nameSchema.optional(),
  }),
  reply: z.object({
    models: z.array(z.object({
      model: nameSchema,
      /** The newest; numbers are never used again. */
      newest: z.int(),
      aliases: z.record(nameSchema, z.int()),
    })),
    next: nameSchema.nullable(),
  }),
});

export const listVersions = endpoint({
  service,
  verb: "versions",
  http: { method: "get", path: "/v1/models/{model}/versions" },
  summary: "Versions of a model, newest first",
  request: z.object({
    model: nameSchema,
    /** `key` or `key=value`. */
    tag: z.string().optional(),
    limit,
    /** Only versions older than this: the `next` of the page before. */
    before: number.int().positive().optional(),
  }),
  reply: z.object({ versions: z.array(versionSchema), next: z.int().nullable() }),
});

/** A row as a model takes it, by feature; null is missing. */
export const inputExampleSchema = z.record(
  featureReferenceSchema,
  z.union([z.number(), z.string()]).nullable(),
);
export type InputExample = z.infer<typeof inputExampleSchema>;

const modelValueSchema = z.object({
  name: z.string(),
  /** Of the elements of a tensor; `other` for what is none. */
  type: z.string(),
  /** A number, or the name of a dynamic dimension (empty when it has none); null when no shape is stated. */
  dims: z.array(z.union([z.int(), z.string()])).nullable(),
});

/** What an ONNX file holds, as its maker wrote it: before it was brought into the platform's form. */
export const modelGraphSchema = z.object({
  /** Empty where the file does not say. */
  producer: z.string(),
  bytes: z.int(),
  irVersion: z.int(),
  /** Version of each operator set, by domain. */
  opsets: z.record(z.string(), z.int()),
  /** How often each occurs, by domain and name. */
  operators: z.array(z.object({ domain: z.string(), op: z.string(), count: z.int() })),
  inputs: z.array(modelValueSchema),
  outputs: z.array(modelValueSchema),
});
export type ModelGraph = z.infer<typeof modelGraphSchema>;

/** A version with what only a look at one of them tells. */
export const versionDetailSchema = versionSchema.extend({
  /** The version of the model's definition; null where the model is not declared. */
  definition: z.int().nullable(),
  /** The feature store's training set and what it was made of; null where it is not known. */
  lineage: z.object({ trainingSet: z.unknown() }).nullable(),
  /** Null for a version that was made before it was kept. */
  graph: modelGraphSchema.nullable(),
  /** A row as the model takes it. */
  inputExample: inputExampleSchema.nullable(),
  referenceBins: z.array(referenceBinsSchema),
  hints: z.array(hintSchema),
  notes: z.string(),
  actor: z.string(),
  retiredBy: z.string().nullable(),
  retiredReason: z.string().nullable(),
});
export type VersionDetail = z.infer<typeof versionDetailSchema>;

/** Its file: `GET /v1/models/{model}/versions/{version}/model.onnx`. */
export const getVersion = endpoint({
  service,
  verb: "version",
  http: { method: "get", path: "/v1/models/{model}/versions/{version}" },
  summary: "One version",
  request: z.object({ model: nameSchema, version: number.int().positive() }),
  reply: versionDetailSchema,
});

export const annotateVersion = endpoint({
  service,
  verb: "annotate-version",
  http: { method: "put", path: "/v1/models/{model}/versions/{version}" },
  summary: "Change the tags and notes of a version",
  request: z.object({
    model: nameSchema,
    version: number.int().positive(),
    /** Those named are set; null removes one. */
    tags: z.record(z.string().min(1).max(100), z.string().max(500).nullable()).default({}),
    /** Default: they stay. */
    notes: z.string().max(20_000).optional(),
  }),
  reply: z.object({ tags: tagsSchema, notes: z.string() }),
  mutation: true,
});

export const importRequestSchema = z.object({
  model: nameSchema,
  /** A file in the file store; over HTTP its bytes may be sent instead. */
  sha256: z.string(),
  /** Default: of the project that declares the model, else of the logged run. */
  project: nameSchema.optional(),
  /** Default: the one that the file carries in its metadata, as those of this platform do. */
  signature: signatureSchema.optional(),
  /** A row to try the file with. Default: zeros. */
  inputExample: inputExampleSchema.optional(),
  /**
   * SHA-256 of a training set: it tells the reference bins and an example. With `trainUntil` the version is judged on the
   * rows that are later, and what is told of it is what the rows up to then tell.
   */
  trainingSet: z.string().optional(),
  /** The last T that the model has learnt from; without it no comparison can find rows that are later. */
  trainUntil: instantSchema.optional(),
  /** The run of one's own code, begun by `create-run`, that the file was trained in. */
  loggedRun: z.uuid().optional(),
  /** Default: that of the logged run, else `imported`. */
  algorithm: z.string().max(200).optional(),
  tags: tagsSchema.default({}),
  notes: z.string().max(20_000).default(""),
  reason: z.string().default(""),
});
export type ImportRequest = z.infer<typeof importRequestSchema>;

/**
 * Over HTTP also with the bytes of the file: as the body (`application/onnx` or `application/octet-stream`), or as the
 * part `file` of a form, beside the other fields as JSON in the part `request`.
 */
export const importVersion = endpoint({
  service,
  verb: "import-version",
  summary: "Register an ONNX file made elsewhere as a version, after checks",
  request: importRequestSchema,
  reply: z.object({
    version: z.int().positive(),
    run: z.uuid(),
    sha256: z.string(),
    signature: signatureSchema,
  }),
  mutation: true,
});

export const retireVersion = endpoint({
  service,
  verb: "retire-version",
  http: { method: "post", path: "/v1/models/{model}/versions/{version}/retire" },
  summary: "Retire a version that no alias points to: none can be pointed to it any more",
  request: z.object({ model: nameSchema, version: number.int().positive(), reason: z.string().min(1) }),
  reply: z.object({ changed: z.boolean() }),
  mutation: true,
});

/** Data of `models.registered.<model>`. */
export const modelRegisteredSchema = z.object({
  model: nameSchema,
  project: nameSchema,
  version: z.int().positive(),
  sha256: z.string(),
  signature: signatureSchema,
  referenceBins: z.array(referenceBinsSchema),
});
export type ModelRegistered = z.infer<typeof modelRegisteredSchema>;

/** Data of `models.retired.<model>`. */
export const modelRetiredSchema = z.object({
  model: nameSchema,
  project: nameSchema,
  version: z.int().positive(),
  reason: z.string(),
});
export type ModelRetired = z.infer<typeof modelRetiredSchema>;
