import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import type { DeclaredFields } from "../domain/windows/declared_fields.ts";
import type { WindowRules } from "../domain/windows/rules.ts";

/** A source with what its windows are held against. */
export interface JudgedSource {
  source: string;
  project: string;
  /** Version of its cleaning; 0: it has none. */
  cleaning: number;
  rules: WindowRules;
  declared: DeclaredFields;
}

/** Holds a source, and tells of it. */
export type Block = (
  tx: Transaction,
  block: { source: string; project: string; since: Instant; reason: string },
) => Promise<void>;
