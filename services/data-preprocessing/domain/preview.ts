import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Reason } from "shared/errors.ts";
import type { Cleaned, Cleaning, RawRecord } from "./cleaning.ts";
import type { Memory } from "./memory.ts";
import type { Track } from "./stages/stage.ts";

/** A record after one step. */
export interface PreviewedStep {
  step: string;
  /** None when it was filtered, several when it was exploded: of those, at most {@link MAX_SHOWN}. */
  after: DataRecord[];
  /** What the step found wrong, or why it filtered. */
  reasons: Reason[];
}

/** What a cleaning does with one record, step by step. */
export interface PreviewedRecord {
  id: string;
  before: DataRecord;
  steps: PreviewedStep[];
  /** Of several that were made of it: `quarantined` when one of them is, else `clean` when one of them is. */
  outcome: Cleaned["outcome"];
  reasons: Reason[];
  warnings: Reason[];
}

export interface PreviewOptions {
  cleaning: Cleaning;
  /** The names of its steps. */
  steps: readonly string[];
  memory: Memory;
}

/** Most records shown of those that were made of one. */
export const MAX_SHOWN = 20;

/** Sends a sample through a cleaning, as records go, and looks at it after each step. */
export async function previewRecords(
  sample: readonly RawRecord[],
  { cleaning, steps, memory }: PreviewOptions,
): Promise<PreviewedRecord[]> {
  const views = sample.map(({ event: { id }, data }) => new RecordView(id, data));
  const cleaned = await cleaning.clean(sample, {
    memory,
    observe({ path, index }, tracks) {
      if (path !== "steps") return;
      const byOrigin = Map.groupBy(tracks, ({ origin }) => origin);
      for (const [origin, view] of views.entries()) view.see(steps[index]!, byOrigin.get(origin) ?? []);
    },
  });
  const byOrigin = Map.groupBy(cleaned, ({ origin }) => origin);
  return views.map((view, origin) => view.conclude(byOrigin.get(origin) ?? []));
}

/** What is seen of a record on its way. */
class RecordView {
  readonly #id: string;
  readonly #before: DataRecord;
  readonly #steps: PreviewedStep[] = [];
  /** Reasons that were told at a step already. */
  readonly #told = new Set<string>();

  constructor(id: string, before: DataRecord) {
    this.#id = id;
    this.#before = before;
  }

  see(step: string, tracks: readonly Track[]): void {
    const goingOn = tracks.filter(({ filtered }) => filtered === undefined);
    const reasons = tracks.flatMap(({ reasons, filtered }) => [...reasons, ...filterReasons(filtered)]);
    this.#steps.push({
      step,
      // Copies, for the steps to come change the records.
      after: goingOn.slice(0, MAX_SHOWN).map(({ data }) => ({ ...data })),
      reasons: this.#notToldYet(reasons),
    });
  }

  #notToldYet(reasons: readonly Reason[]): Reason[] {
    return reasons.filter((reason) => {
      const key = JSON.stringify(reason);
      if (this.#told.has(key)) return false;
      this.#told.add(key);
      return true;
    });
  }

  conclude(cleaned: readonly Cleaned[]): PreviewedRecord {
    const outcomes = cleaned.map(({ outcome }) => outcome);
    return {
      id: this.#id,
      before: this.#before,
      steps: this.#steps,
      outcome: (["quarantined", "clean"] as const).find((one) => outcomes.includes(one)) ?? "filtered",
      reasons: distinct(cleaned.flatMap(reasonsOf)),
      warnings: distinct(cleaned.flatMap((one) => one.outcome === "clean" ? one.warnings : [])),
    };
  }
}

function filterReasons(reason: string | undefined): Reason[] {
  return reason === undefined ? [] : [{ path: "", message: reason }];
}

function reasonsOf(cleaned: Cleaned): Reason[] {
  switch (cleaned.outcome) {
    case "quarantined":
      return cleaned.reasons;
    case "filtered":
      return filterReasons(cleaned.reason);
    case "clean":
      return [];
  }
}

/** Those that many records made of one have in common are told once. */
function distinct(reasons: readonly Reason[]): Reason[] {
  return [...new Map(reasons.map((reason) => [JSON.stringify(reason), reason])).values()].slice(0, MAX_SHOWN);
}
