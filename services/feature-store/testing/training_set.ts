/** Building a training set in a test: the door of those who compare features as they are read with those learnt from. @module */
import { assert, assertEquals } from "@std/assert";
import type { z } from "zod";
import * as contract from "shared/contracts/feature_store.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";

export type TrainingSetAsked = z.input<typeof contract.buildTrainingSet.spec.request>;

/** A busy machine may take long to check and load the modules of the threads that build. */
const BUILD_TIMEOUT_MS = 120_000;

/** Asks for a training set and waits for its end, whichever it is. */
export async function build(
  service: Pick<TestService, "call">,
  request: TrainingSetAsked,
): Promise<contract.TrainingSetStatus> {
  const { id } = await service.call(contract.buildTrainingSet, request);
  return await ended(service, id);
}

export function ended(service: Pick<TestService, "call">, id: string): Promise<contract.TrainingSetStatus> {
  return eventually(async () => {
    const status = await service.call(contract.getTrainingSet, { id });
    assert(!["queued", "running"].includes(status.status), status.status);
    return status;
  }, { timeoutMs: BUILD_TIMEOUT_MS });
}

/** The table of a training set that must be done. */
export async function load(
  service: Pick<TestService, "bus">,
  status: contract.TrainingSetStatus,
): Promise<TrainingSetTable> {
  assertEquals([status.error, status.status], [null, "done"]);
  return await readTrainingSet(await service.bus.files.get(status.result!.sha256));
}

/**
 * The values of features for (entity, T), as a training set over these rows has them: number, boolean, text or null,
 * in the order of the feature service.
 */
export async function learnt(
  service: Pick<TestService, "call" | "bus">,
  request: Omit<TrainingSetAsked, "spine">,
  rows: readonly ({ t: string } & Record<string, unknown>)[],
): Promise<contract.FeatureValue[][]> {
  const { features } = await load(service, await build(service, { ...request, spine: { rows: [...rows] } }));
  return rows.map((_, row) =>
    features.map(({ values, type, categories }) => {
      const value = values[row]!;
      if (Number.isNaN(value)) return null;
      if (type === "text") return categories![value]!;
      return type === "boolean" ? value === 1 : value;
    })
  );
}
