/**
 * What runs in a project's `.microml/`, as the next launcher reads it: `infra.json`.
 *
 * @module
 */

import { readIfThere } from "./folders.ts";
import type { NatsPorts } from "./nats_process.ts";
import { isRunning, type ProcessIdentity } from "./process_identity.ts";

export interface InfraState {
  launcher: ProcessIdentity;
  nats?: ProcessIdentity & NatsPorts;
  postgres?: ProcessIdentity & { port: number };
}

/** The state in the file, of a launcher that may be gone; `undefined` when there is none that can be read. */
export async function readInfraState(file: string): Promise<InfraState | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    // Written by a rename, so this is somebody's edit. It holds nothing that can't be found out again.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whole or not at all, so that a reader never sees a part of it. */
export async function writeInfraState(file: string, state: InfraState): Promise<void> {
  await Deno.writeTextFile(`${file}.new`, JSON.stringify(state, null, 2) + "\n", { mode: 0o600 });
  await Deno.rename(`${file}.new`, file);
}

/** A state whose launcher and both servers run. */
export type RunningInfra = Required<InfraState>;

export function isRunningInfra(state: InfraState | undefined): state is RunningInfra {
  return state?.nats !== undefined && state.postgres !== undefined &&
    [state.launcher, state.nats, state.postgres].every(isRunning);
}
