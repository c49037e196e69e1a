/**
 * Definitions: the parts of a project, each kept by the service that owns its kind. Every owner offers the same
 * three endpoints a kind: put, remove and (for all its kinds) list.
 *
 * @module
 */
import { z } from "zod";
import { endpoint } from "./endpoint.ts";
import { nameSchema } from "./names.ts";
import { instantSchema } from "./time.ts";

/** A definition as it stands in its owner's database and in the `definitions` bucket. */
export function storedDefinitionSchema<Body extends z.ZodType>(body: Body) {
  return z.object({
    project: nameSchema,
    kind: z.string(),
    name: nameSchema,
    /** Counts the changes of the body, from 1. */
    version: z.int().positive(),
    body,
    actor: z.string(),
    changedAt: instantSchema,
  });
}

export type StoredDefinition<Body = unknown> =
  & Omit<z.infer<ReturnType<typeof storedDefinitionSchema>>, "body">
  & {
    body: Body;
  };

const plural = (kind: string) => kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;

/** The endpoint that creates or changes a definition; an equal body changes nothing. */
export function putDefinition<
  const Service extends string,
  const Kind extends string,
  Body extends z.ZodType,
>(
  service: Service,
  kind: Kind,
  body: Body,
) {
  return endpoint({
    service,
    verb: `put-${kind}`,
    http: { method: "put", path: `/v1/${plural(kind)}/{name}` },
    summary: `Create or change a ${kind.replaceAll("-", " ")}`,
    request: z.object({ project: nameSchema, name: nameSchema, body }),
    reply: z.object({ version: z.int().positive(), changed: z.boolean() }),
    mutation: true,
  });
}

/** The endpoint that removes a definition of a project. */
export function removeDefinition<const Service extends string, const Kind extends string>(
  service: Service,
  kind: Kind,
) {
  return endpoint({
    service,
    verb: `remove-${kind}`,
    http: { method: "delete", path: `/v1/${plural(kind)}/{name}` },
    summary: `Remove a ${kind.replaceAll("-", " ")}`,
    request: z.object({ project: nameSchema, name: nameSchema }),
    reply: z.object({ removed: z.boolean() }),
    mutation: true,
  });
}

/** The endpoint that lists the definitions in force, of one project or of all. */
export function listDefinitions<const Service extends string>(service: Service) {
  return endpoint({
    service,
    verb: "definitions",
    http: { method: "get", path: "/v1/definitions" },
    summary: "List the definitions in force",
    request: z.object({ project: nameSchema.optional() }),
    reply: z.object({ definitions: z.array(storedDefinitionSchema(z.unknown())) }),
  });
}
