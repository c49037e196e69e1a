import type { Transaction } from "shared/db/connection.ts";
import { type Concern, removeConcern, saveConcern } from "../repository/concerns.ts";

/** What does not hold of a source at the moment. */
export class SourceConcerns {
  readonly #tx: Transaction;
  readonly #source: string;
  readonly #standing: Set<string>;

  constructor(tx: Transaction, source: string, standing: readonly Concern[]) {
    this.#tx = tx;
    this.#source = source;
    this.#standing = new Set(standing.map(({ kind, concern }) => `${kind} ${concern}`));
  }

  has(kind: Concern["kind"]): boolean {
    return [...this.#standing].some((name) => name.startsWith(`${kind} `));
  }

  async add(concern: Omit<Concern, "source">): Promise<void> {
    this.#standing.add(`${concern.kind} ${concern.concern}`);
    await saveConcern(this.#tx, { source: this.#source, ...concern });
  }

  async remove(kind: Concern["kind"], concern: string): Promise<void> {
    if (!this.#standing.delete(`${kind} ${concern}`)) return;
    await removeConcern(this.#tx, { source: this.#source, kind, concern });
  }
}
