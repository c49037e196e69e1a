/** The cleanings of sources, compiled once a version. @module */
import type { CleaningBody } from "shared/contracts/data_preprocessing.ts";
import { AppError } from "shared/errors.ts";
import { compileCleaning, passThrough } from "./domain/cleaning.ts";
import type { VersionedCleaning } from "./preprocess.ts";

/** A cleaning as its definition says. */
interface Definition {
  version: number;
  body: CleaningBody;
}

export interface CleaningsDeps {
  /** The definition in force. */
  current(source: string): Promise<Definition | undefined>;
  /** A version, in force or not. */
  version(source: string, version: number): Promise<Definition | undefined>;
}

export interface Cleanings {
  cleaningOf(source: string): Promise<VersionedCleaning>;
  cleaningVersion(source: string, version: number | null): Promise<VersionedCleaning>;
}

const NONE: VersionedCleaning = { version: null, clean: passThrough };

export function createCleanings(deps: CleaningsDeps): Cleanings {
  /** The last one that was used of each source: older versions are asked for after a crash only. */
  const compiled = new Map<string, VersionedCleaning>();

  const compile = (source: string, { version, body }: Definition): VersionedCleaning => {
    const cleaning = { version, clean: compileCleaning(body) };
    compiled.set(source, cleaning);
    return cleaning;
  };

  return {
    async cleaningOf(source) {
      const definition = await deps.current(source);
      if (definition === undefined) return NONE;
      const known = compiled.get(source);
      return known?.version === definition.version ? known : compile(source, definition);
    },
    async cleaningVersion(source, version) {
      if (version === null) return NONE;
      const known = compiled.get(source);
      if (known?.version === version) return known;
      const definition = await deps.version(source, version);
      if (definition === undefined) {
        throw new AppError(
          "internal",
          `Cannot clean "${source}" again: its cleaning has no version ${version}`,
        );
      }
      return compile(source, definition);
    },
  };
}
