/** Aliases: where they point, who pointed them there, and what is told of it. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { signatureSchema } from "../signature.ts";
import { instantSchema } from "../time.ts";

const service = "model-training";

const number = z.coerce.number();

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

export const removeAlias = endpoint({
  service,
  verb: "remove-alias",
  http: { method: "delete", path: "/v1/models/{model}/aliases/{alias}" },
  summary: "Remove an alias: nothing is served under it any more",
  request: z.object({
    model: nameSchema,
    alias: nameSchema,
    reason: z.string().min(1),
    evidence: z.string().default(""),
  }),
  reply: z.object({ revision: z.int(), changed: z.boolean() }),
  mutation: true,
});

export const rollbackAlias = endpoint({
  service,
  verb: "rollback-alias",
  http: { method: "post", path: "/v1/models/{model}/aliases/{alias}/rollback" },
  summary: "Point an alias back to what it pointed to before its last move that was not rolled back",
  request: z.object({
    model: nameSchema,
    alias: nameSchema,
    reason: z.string().min(1),
    evidence: z.string().default(""),
    /** Refused (`conflict`) when the alias points to another version than this. Default: any. */
    replaces: z.int().positive().optional(),
  }),
  reply: z.object({
    /** Null when it pointed to nothing before: then the alias is removed. */
    version: z.int().positive().nullable(),
    revision: z.int(),
  }),
  mutation: true,
});

export const aliasMoveSchema = z.object({
  alias: nameSchema,
  /** Null where the alias was removed. */
  version: z.int().nullable(),
  revision: z.int(),
  kind: z.enum(["set", "rollback", "remove"]),
  actor: z.string(),
  reason: z.string(),
  evidence: z.string(),
  at: instantSchema,
});
export type AliasMove = z.infer<typeof aliasMoveSchema>;

export const aliasHistory = endpoint({
  service,
  verb: "alias-history",
  http: { method: "get", path: "/v1/models/{model}/aliases" },
  summary: "Where aliases point, and who pointed them there, when and why, newest first",
  request: z.object({
    model: nameSchema,
    /** Only of this one. */
    alias: nameSchema.optional(),
    limit: number.int().min(1).max(500).default(50),
    /** The `next` of the page before. */
    after: number.int().positive().optional(),
  }),
  reply: z.object({
    aliases: z.record(nameSchema, z.int()),
    moves: z.array(aliasMoveSchema),
    next: z.int().nullable(),
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

/** Data of `models.unaliased.<model>`: the alias was removed. */
export const modelUnaliasedSchema = z.object({
  model: nameSchema,
  project: nameSchema,
  alias: nameSchema,
  revision: z.int().positive(),
});
export type ModelUnaliased = z.infer<typeof modelUnaliasedSchema>;
