/** Columns of values that come one by one, of a type that is known at the end. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { createTextCodes, type TrainingSetColumn } from "shared/training_set_table.ts";

/** Grows by the value; of text it keeps each distinct one once. */
export interface ValueColumn {
  readonly length: number;
  push(value: FeatureValue): void;
  /**
   * The column in an order: row `i` is what was pushed as number `order[i]`. Booleans stay booleans where there is
   * nothing else, and text becomes a column of text, where what is no text is written as JSON writes it.
   */
  finish(name: string, order: Uint32Array): TrainingSetColumn;
}

/** Cells are kept in blocks: an array that doubles would hold up to twice what is in it. */
const BLOCK_BITS = 11;
const BLOCK = 1 << BLOCK_BITS;

export function createValueColumn(): ValueColumn {
  const blocks: Float64Array[] = [];
  const texts = createTextCodes();
  let length = 0;
  let seen: Record<"number" | "boolean" | "text", boolean> = { number: false, boolean: false, text: false };

  function append(cell: number): void {
    if ((length & (BLOCK - 1)) === 0) blocks.push(new Float64Array(BLOCK));
    blocks[length >>> BLOCK_BITS]![length & (BLOCK - 1)] = cell;
    length++;
  }

  /** What came before the first text becomes text too. */
  function becomeText(): void {
    const booleans = seen.boolean && !seen.number;
    for (let index = 0; index < length; index++) {
      const block = blocks[index >>> BLOCK_BITS]!;
      const cell = block[index & (BLOCK - 1)]!;
      if (!Number.isNaN(cell)) {
        block[index & (BLOCK - 1)] = texts.codeOf(booleans ? String(cell === 1) : String(cell));
      }
    }
    seen = { ...seen, text: true };
  }

  return {
    get length() {
      return length;
    },
    push(value) {
      if (value === null) return append(NaN);
      if (typeof value === "string" && !seen.text) becomeText();
      if (seen.text) return append(texts.codeOf(String(value)));
      if (typeof value === "number") seen.number = true;
      else seen.boolean = true;
      append(Number(value));
    },
    finish(name, order) {
      const values = new Float64Array(order.length);
      for (let place = 0; place < order.length; place++) {
        const row = order[place]!;
        values[place] = blocks[row >>> BLOCK_BITS]![row & (BLOCK - 1)]!;
      }
      blocks.length = 0;
      if (seen.text) return { name, values, type: "text", categories: texts.inOrder(values) };
      return seen.boolean && !seen.number ? { name, values, type: "boolean" } : { name, values };
    },
  };
}
