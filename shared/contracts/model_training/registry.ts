/** The registry: versions, aliases, and what is told of them. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { referenceBinsSchema, signatureSchema } from "../signature.ts";
import { instantSchema } from "../time.ts";
import { evaluationSchema } from "./evaluation.ts";

const service = "model-training";

export const versionSchema = z.object({
  model: nameSchema,
  version: z.int().positive(),
  project: nameSchema,
  run: z.uuid(),
  /** SHA-256 of the ONNX file, its name in the file store. */
  sha256: z.string(),
  bytes: z.int(),
  signature: signatureSchema,
  trainingSet: z.string(),
  evaluation: evaluationSchema,
  aliases: z.array(nameSchema),
  createdAt: instantSchema,
});
export type ModelVersion = z.infer<typeof versionSchema>;

export const listVersions = endpoint({
  service,
  verb: "versions",
  http: { method: "get", path: "/v1/models/{model}/versions" },
  summary: "Versions of a model, newest first",
  request: z.object({ model: nameSchema, limit: z.coerce.number().int().min(1).max(500).default(50) }),
  reply: z.object({ versions: z.array(versionSchema) }),
});

export const setAlias = endpoint({
  service,
  verb: "set-alias",
  http: { method: "put", path: "/v1/models/{model}/aliases/{alias}" },
  summary: "Point an alias to a version",
  request: z.object({
    model: nameSchema,
    alias: nameSchema,
    version: z.int().positive(),
    /** Refused (`conflict`) when the alias points to another version than this; null for none. Default: any. */
    replaces: z.int().positive().nullable().optional(),
    reason: z.string().min(1),
    /** What the decision rests on, for example a comparison id. */
    evidence: z.string().default(""),
  }),
  reply: z.object({ revision: z.int(), changed: z.boolean() }),
  mutation: true,
});

export const aliasHistory = endpoint({
  service,
  verb: "alias-history",
  http: { method: "get", path: "/v1/models/{model}/aliases" },
  summary: "Who pointed which alias where, when and why, newest first",
  request: z.object({ model: nameSchema, limit: z.coerce.number().int().min(1).max(500).default(50) }),
  reply: z.object({
    moves: z.array(z.object({
      alias: nameSchema,
      version: z.int(),
      revision: z.int(),
      actor: z.string(),
      reason: z.string(),
      evidence: z.string(),
      at: instantSchema,
    })),
  }),
});

/** The entry of the `aliases` bucket under `<model>.<alias>`: all that serving needs to load it. */
export const aliasEntrySchema = z.object({
  model: nameSchema,
  alias: nameSchema,
  version: z.int().positive(),
  sha256: z.string(),
  signature: signatureSchema,
  /** Counts the moves of this alias; a reader drops what is older than what it has. */
  revision: z.int().positive(),
  project: nameSchema,
});
export type AliasEntry = z.infer<typeof aliasEntrySchema>;

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
