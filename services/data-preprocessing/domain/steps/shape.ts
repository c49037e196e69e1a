import type { DataRecord } from "shared/contracts/envelope.ts";
import { invalid } from "shared/errors.ts";
import { type KnownFields, refuseUnusable } from "../known_fields.ts";
import type { CompiledStep } from "../record_state.ts";
import type { StepOf } from "./step.ts";

/** Keeps these fields, in this order. */
export function select({ fields }: StepOf<"select">, known: KnownFields): CompiledStep {
  known.require(fields);
  known.keepOnly(fields);
  return (state) => {
    const { data } = state;
    const kept: DataRecord = {};
    for (const field of fields) {
      const value = data[field];
      if (value !== undefined) kept[field] = value;
    }
    state.data = kept;
  };
}

/** Gives fields other names, all at once, so that two can change places. Each stays where it stood. */
export function rename({ fields }: StepOf<"rename">, known: KnownFields): CompiledStep {
  const newNames = new Map(Object.entries(fields));
  const targets = [...newNames.values()];
  known.require([...newNames.keys()]);
  const twice = targets.find((to, index) => targets.indexOf(to) !== index);
  if (twice !== undefined) throw invalid(`renames two fields to "${twice}"`);
  refuseUnusable(targets);
  const types = [...newNames].map(([from, to]) => ({ to, type: known.typeOf(from) }));
  known.remove([...newNames.keys()]);
  for (const { to, type } of types) known.set(to, type);
  const oldNames = new Map([...newNames].map(([from, to]) => [to, from]));

  return (state) => {
    const { data, failed } = state;
    const renamed: DataRecord = {};
    for (const field of Object.keys(data)) {
      const to = newNames.get(field);
      if (to !== undefined) {
        renamed[to] = data[field];
        continue;
      }
      const from = oldNames.get(field);
      // Another field takes its place.
      if (from !== undefined && Object.hasOwn(data, from)) continue;
      renamed[field] = data[field];
    }
    state.data = renamed;
    if (failed.size > 0) state.failed = renamedFields(failed, { newNames, oldNames, before: data });
  };
}

function renamedFields(
  failed: ReadonlySet<string>,
  { newNames, oldNames, before }: {
    newNames: ReadonlyMap<string, string>;
    oldNames: ReadonlyMap<string, string>;
    before: DataRecord;
  },
): Set<string> {
  const isReplaced = (field: string) => {
    const from = oldNames.get(field);
    return !newNames.has(field) && from !== undefined && Object.hasOwn(before, from);
  };
  return new Set(
    [...failed].filter((field) => !isReplaced(field)).map((field) => newNames.get(field) ?? field),
  );
}
