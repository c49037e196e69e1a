/** What must hold for what is observed: a declared spine and a label, of a training set or of a model. @module */
import type { Label, ModelLabelBody, Spine, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError, invalid, type Reason } from "shared/errors.ts";
import { createLayout } from "./history.ts";
import { planLabel } from "./label.ts";
import { isEventSpine, planSpine } from "./spine.ts";

export interface Observation {
  entity: string;
  spine: Spine | undefined;
  label: Label | undefined;
}

/** @param views those that may describe the entity, each with its source */
export function mistakesIn(
  { entity, spine, label }: Observation,
  views: Iterable<Pick<ViewBody, "entity" | "source">>,
): Reason[] {
  const described = new Set([...views].filter((view) => view.entity === entity).map(({ source }) => source));
  const sources: [path: string, source: string][] = [];
  const lengths: [path: string, length: string][] = [];
  if (spine !== undefined) {
    sources.push(["/spine/source", spine.source]);
    if (!isEventSpine(spine)) {
      lengths.push(["/spine/every", spine.every], ["/spine/activeWithin", spine.activeWithin]);
    }
  }
  if (label !== undefined) {
    sources.push(["/label/source", label.source]);
    lengths.push(["/label/within", label.within]);
  }
  return [
    ...sources.filter(([, source]) => !described.has(source)).map(([path, source]): Reason => ({
      path,
      message: `is "${source}": no view of the entity "${entity}" reads that source`,
    })),
    ...lengths.filter(([, length]) => durationToMs(length) === 0).map(([path]): Reason => ({
      path,
      message: "must be longer than nothing",
    })),
    ...(spine === undefined ? [] : compileMistake("/spine/where", () => planSpine(spine, createLayout()))),
    ...(label === undefined ? [] : compileMistake("/label/where", () => planLabel(label, createLayout()))),
  ];
}

/** @throws {AppError} `invalid`, with every mistake */
export function checkLabel(
  model: string,
  body: ModelLabelBody,
  known: { hasEntity: boolean; views: ReadonlyMap<string, ViewBody> },
): void {
  const { entity } = body;
  const reasons = [
    ...(known.hasEntity ? [] : [{ path: "/entity", message: `is "${entity}": there is no such entity` }]),
    ...mistakesIn(body, known.views.values()),
  ];
  const [first] = reasons;
  if (first === undefined) return;
  throw invalid(`Cannot define the label of the model "${model}": ${first.path} ${first.message}`, reasons);
}

function compileMistake(path: string, compile: () => void): Reason[] {
  try {
    compile();
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [{ path, message: error.message }];
  }
}
