import type { FeatureValue, Label } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import type { History, LayoutBuilder } from "./history.ts";
import { NumbersPartial } from "./partial_numbers.ts";
import { selectRecords } from "./selection.ts";

/** A label, compiled: a function of (entity, T) that looks at (T, T + within]. */
export interface LabelPlan {
  readonly source: string;
  readonly withinMs: number;
  /** Whether it may be null although all of (T, T + within] is known. */
  readonly mayBeNull: boolean;
  /** Sees every record there is, whenever it became known: an outcome is not a feature. */
  evaluate(history: History, atMs: number): FeatureValue;
}

/** @throws {AppError} `invalid` when the filter does not compile */
export function planLabel(label: Label, layout: LayoutBuilder): LabelPlan {
  const withinMs = durationToMs(label.within);
  const filter = label.where === undefined ? -1 : layout.filter(label.where);
  const field = label.field === undefined ? -1 : layout.field(label.field);
  return {
    source: label.source,
    withinMs,
    mayBeNull: label.aggregate === "next",
    evaluate(history, at) {
      const positions = selectRecords(history, {
        after: at,
        until: at + withinMs,
        knownBy: Infinity,
        filter,
      });
      switch (label.aggregate) {
        case "exists":
          return positions.length > 0 ? 1 : 0;
        case "count":
          return positions.length;
        case "sum": {
          const numbers = new NumbersPartial(field);
          numbers.add(history, positions);
          return numbers.sum();
        }
        case "next":
          return positions.length === 0 ? null : history.value(field, positions[0]!);
      }
    },
  };
}
