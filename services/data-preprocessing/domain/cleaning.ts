import {
  type CleaningBody,
  cleaningBodySchema,
  type Expectation,
  type Step,
} from "shared/contracts/cleaning.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { messageOf, type Reason } from "shared/errors.ts";
import { isStorable, textMistakes } from "shared/storable_text.ts";
import type { Privacy } from "shared/privacy.ts";
import { invalidInput } from "shared/validation.ts";
import { compileExpectation } from "./expectations/compile.ts";
import { type FieldFacts, KnownFields } from "./known_fields.ts";
import type { Memory } from "./memory.ts";
import type { RecordEvent, WindowExpectation } from "./record_state.ts";
import { compileDeduplicate, compileUnique } from "./stages/deduplicate.ts";
import { compileEnrich } from "./stages/enrich.ts";
import { compileExplode } from "./stages/explode.ts";
import { runStage, type Stage, type Track } from "./stages/stage.ts";
import { isTooLarge, MAX_RECORD_BYTES } from "./record_size.ts";
import { compileStep, type StepContext } from "./steps/compile.ts";

/** A record as it was ingested. */
export interface RawRecord {
  event: RecordEvent;
  data: DataRecord;
}

/** What a cleaning makes of a record, or of one item of it. */
export type Cleaned =
  & {
    /** The position in the batch of the record that it was made from. */
    origin: number;
    /** The record's id, with `#0`, `#1` ... behind it for each array that was exploded. */
    id: string;
  }
  & (
    /** `warnings`: expectations that failed without holding it back. */
    | { outcome: "clean"; data: DataRecord; warnings: Reason[] }
    | { outcome: "filtered"; reason: string }
    /** Every failure, not only the first. `blocked`: one of them holds what comes after it. */
    | { outcome: "quarantined"; reasons: Reason[]; blocked: boolean }
  );

export interface CleanOptions {
  memory: Memory;
  /** Told of the records of the batch after each step and then each expectation, by its index in the body. */
  observe?(place: { path: "steps" | "expectations"; index: number }, records: readonly Track[]): void;
}

export interface Cleaning {
  /** Why nothing can be cleaned by it at the moment, though it is in force. */
  readonly unusable?: string;
  /** Whether what it makes of a record depends on nothing but the record; else on what the memory says, too. */
  readonly pure: boolean;
  /** Whether a record can block the source. */
  readonly canBlock: boolean;
  /** The records of a batch, in their order; they are not changed. Items of one record stand next to each other. */
  clean(records: readonly RawRecord[], options: CleanOptions): Promise<Cleaned[]>;
}

/** What a source without a cleaning does. */
export const passThrough: Cleaning = {
  pure: true,
  canBlock: false,
  clean: (records) =>
    Promise.resolve(
      records.map(({ event, data }, origin) => ({
        origin,
        id: event.id,
        outcome: "clean",
        data,
        warnings: [],
      })),
    ),
};

/** A cleaning that can't be used, though it was accepted once: it cleans nothing, and says why. */
export function unusableCleaning(error: unknown): Cleaning {
  return { pure: false, canBlock: true, unusable: messageOf(error), clean: () => Promise.reject(error) };
}

interface PlacedStage {
  stage: Stage;
  index: number;
}

interface Stages {
  steps: readonly PlacedStage[];
  expectations: readonly PlacedStage[];
}

export interface CompileOptions {
  /** Default: the service has no key, and steps that need one are refused. */
  privacy?: Privacy | undefined;
  /** What is known of the source's records; only to check with. Default: nothing. */
  facts?: FieldFacts | undefined;
}

/**
 * Compiles a cleaning: its steps in order, then its expectations. What holds for windows is not looked at here.
 *
 * @throws {AppError} `invalid` with every mistake in expressions, patterns, names and types, by its place in the body
 */
export function compileCleaning(body: CleaningBody, options: CompileOptions = {}): Cleaning {
  const parsed = cleaningBodySchema.parse(body);
  const reasons: Reason[] = [];
  const fields = new KnownFields(options.facts);
  const context: StepContext = { known: fields, privacy: options.privacy };
  const compiled = <In>(
    path: string,
    items: readonly In[],
    compile: (item: In) => Stage | undefined,
  ): PlacedStage[] =>
    items.flatMap((item, index) => {
      try {
        const stage = compile(item);
        return stage === undefined ? [] : [{ stage, index }];
      } catch (error) {
        reasons.push({ path: `/${path}/${index}`, message: messageOf(error) });
        return [];
      }
    });
  const stages: Stages = {
    steps: compiled("steps", parsed.steps, (step) => stageOfStep(step, context)),
    expectations: compiled("expectations", parsed.expectations, (one) => stageOfExpectation(one, fields)),
  };
  if (reasons.length > 0) throw invalidInput("use the cleaning", reasons);
  return {
    pure: [...stages.steps, ...stages.expectations].every(({ stage }) => stage.kind !== "memory"),
    canBlock: parsed.expectations.some((one) => !isOfWindows(one) && one.action === "block"),
    clean: (records, options) => clean(records, stages, options),
  };
}

function stageOfStep(step: Step, context: StepContext): Stage {
  const { known } = context;
  switch (step.step) {
    case "explode":
      return compileExplode(step, known);
    case "enrich":
      return compileEnrich(step, known);
    case "deduplicate":
      return compileDeduplicate(step, known);
    default:
      return { kind: "step", apply: compileStep(step, context) };
  }
}

/** @returns nothing for what is judged when a window of event time is over */
function stageOfExpectation(expectation: Expectation, fields: KnownFields): Stage | undefined {
  if (isOfWindows(expectation)) return undefined;
  if (expectation.expect === "unique") return compileUnique(expectation, fields);
  return { kind: "expectation", apply: compileExpectation(expectation, fields) };
}

function isOfWindows(expectation: Expectation): expectation is WindowExpectation {
  return ["freshness", "volume", "window"].includes(expectation.expect);
}

async function clean(
  records: readonly RawRecord[],
  { steps, expectations }: Stages,
  { memory, observe }: CleanOptions,
): Promise<Cleaned[]> {
  let tracks: readonly Track[] = records.map(toTrack);
  for (const { stage, index } of steps) {
    // What is remembered goes to the database.
    if (stage.kind === "memory") tracks.forEach(refuseUnstorable);
    tracks = await runStage(stage, tracks, memory);
    observe?.({ path: "steps", index }, tracks);
  }
  const judged = tracks.filter(refuseTooLarge);
  judged.forEach(refuseUnstorable);
  for (const { stage, index } of expectations) {
    await runStage(stage, judged, memory);
    observe?.({ path: "expectations", index }, tracks);
  }
  return tracks.map(toCleaned);
}

function toTrack({ event, data }: RawRecord, origin: number): Track {
  return {
    event,
    origin,
    data: { ...data },
    reasons: [],
    warnings: [],
    failed: new Set(),
    blocked: false,
    filtered: undefined,
  };
}

/** @returns whether it can be judged: patterns would run over all of a large one */
function refuseTooLarge(track: Track): boolean {
  if (track.filtered !== undefined) return false;
  if (!isTooLarge(track.data)) return true;
  track.reasons.push({ path: "", message: `has more than ${MAX_RECORD_BYTES} bytes after its steps` });
  return false;
}

/** PostgreSQL has no place for some texts that steps can make: such a record goes no further, and its neighbours do. */
function refuseUnstorable({ filtered, data, failed, reasons }: Track): void {
  if (filtered !== undefined || isStorable(data)) return;
  for (const [field, value] of Object.entries(data)) {
    if (failed.has(field) || isStorable(field) && isStorable(value)) continue;
    reasons.push(...textMistakes({ [field]: value }));
    failed.add(field);
  }
}

function toCleaned({ event: { id }, origin, filtered, data, reasons, warnings, blocked }: Track): Cleaned {
  if (filtered !== undefined) return { origin, id, outcome: "filtered", reason: filtered };
  if (reasons.length > 0) return { origin, id, outcome: "quarantined", reasons, blocked };
  return { origin, id, outcome: "clean", data, warnings };
}
