import type { z } from "zod";
import type { StoredDefinition } from "../contracts/definition.ts";
import type { Endpoint } from "../contracts/endpoint.ts";
import type { Transaction } from "../db/connection.ts";

/** A kind of definitions that a service owns. */
export interface DefinitionKind {
  /** As in the subjects of its endpoints: lower case with dashes. */
  kind: string;
  body: z.ZodType;
  put: Endpoint;
  remove: Endpoint;
  /**
   * What the schema can't say (expressions, names that must be there). Throws to refuse; called before a body that
   * is new or changed is written, in the same transaction. Annotate `body` with the kind's own type.
   */
  // deno-lint-ignore no-explicit-any -- a list of kinds has no common body type
  check?(name: string, body: any, tx: Transaction): void | Promise<void>;
  /**
   * What only a look elsewhere can say, or a trial: before the transaction, so that it holds no connection and no lock
   * however long it takes. Throws to refuse a body that is not in force already. Annotate `body` with the kind's own
   * type.
   */
  // deno-lint-ignore no-explicit-any -- a list of kinds has no common body type
  prove?(name: string, body: any): Promise<void>;
  /** Kinds of which `afterPut` may change definitions: who put this one reads those as they are then. */
  affects?: readonly string[];
  /** What follows from a new version, in the transaction that writes it. Annotate the body with the kind's own type. */
  // deno-lint-ignore no-explicit-any -- a list of kinds has no common body type
  afterPut?(definition: StoredDefinition<any>, tx: Transaction): Promise<void>;
  /** What follows when it is removed, in that transaction. Throws to refuse. */
  afterRemove?(name: string, tx: Transaction): Promise<void>;
}
