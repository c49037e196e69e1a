/** The endpoints by which a service that consumes a stream shows its dead letters and takes them in again. @module */
import { z } from "zod";
import { endpoint } from "./endpoint.ts";
import { instantSchema } from "./time.ts";

const reasonSchema = z.object({ path: z.string(), message: z.string() });

export const deadLetterSchema = z.object({
  /** Its sequence in DEADLETTER: what names it. */
  number: z.int().positive(),
  /** The source or model. */
  name: z.string(),
  stream: z.string(),
  /** In that stream; null: a single event that was set aside. */
  sequence: z.int().nullable(),
  attempts: z.int(),
  at: instantSchema,
  reasons: z.array(reasonSchema),
  /** The message's text, cut after 2,000 characters; null where it is sealed or lost. */
  payload: z.string().nullable(),
  bytes: z.int(),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/** Lists what the service could not handle, newest first. */
export function listDeadLetters<const Service extends string>(service: Service) {
  return endpoint({
    service,
    verb: "dead-letters",
    http: { method: "get", path: "/v1/dead-letters" },
    summary: "Messages that could not be handled, with their reasons, newest first",
    request: z.object({
      name: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(200).default(50),
      after: z.string().regex(/^[1-9]\d{0,15}$/, 'must be the "next" of a page').optional(),
    }),
    reply: z.object({ deadLetters: z.array(deadLetterSchema), next: z.string().nullable() }),
  });
}

/**
 * Publishes dead letters again where they came from, oldest first, under new message ids, and takes them out of
 * DEADLETTER. Each is a new receipt for whoever counts receipts; its event ids stay.
 */
export function redriveDeadLetters<const Service extends string>(service: Service) {
  return endpoint({
    service,
    verb: "redrive-dead-letters",
    http: { method: "post", path: "/v1/dead-letters/redrive" },
    summary: "Handle dead letters again",
    request: z.object({
      /** These; else those of `name`; else all. At most 1,000 a call. */
      numbers: z.array(z.int().positive()).max(1_000).optional(),
      name: z.string().optional(),
    }),
    reply: z.object({
      redriven: z.int(),
      /** Those that could not be, the first 100 of them: they stay. */
      failed: z.array(z.object({ number: z.int().positive(), reason: z.string() })),
      /** 1,000 were redriven, and there are others. */
      more: z.boolean(),
    }),
    mutation: true,
  });
}
