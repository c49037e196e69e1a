/** The cleanings of sources, compiled once a version. @module */
import { type CleaningBody, cleaningBodySchema } from "shared/contracts/cleaning.ts";
import { AppError } from "shared/errors.ts";
import { type Cleaning, compileCleaning, passThrough, unusableCleaning } from "./domain/cleaning.ts";

/** A cleaning as its definition says. */
interface Definition {
  project: string;
  version: number;
  body: CleaningBody;
}

/** A cleaning in a version, made ready. */
export interface VersionedCleaning {
  /** 0: the source has none, and its records pass through. */
  version: number;
  /** Null without a definition. */
  project: string | null;
  body: CleaningBody;
  cleaning: Cleaning;
}

export interface CleaningsDeps {
  /** The definition in force. */
  current(source: string): Promise<Definition | undefined>;
  /** A version, in force or not. */
  version(source: string, version: number): Promise<Definition | undefined>;
  /** Default: {@link compileCleaning}. */
  compile?: (body: CleaningBody) => Cleaning;
}

export interface Cleanings {
  /** The cleaning in force. */
  cleaningOf(source: string): Promise<VersionedCleaning>;
  /** The cleaning of a version, in force or not; 0: none. */
  cleaningVersion(source: string, version: number): Promise<VersionedCleaning>;
}

const NONE: VersionedCleaning = {
  version: 0,
  project: null,
  body: cleaningBodySchema.parse({}),
  cleaning: passThrough,
};

export function createCleanings({ current, version, compile = compileCleaning }: CleaningsDeps): Cleanings {
  /** The last two that were used of each source: a replay may be of another version than the live flow. */
  const compiled = new Map<string, VersionedCleaning[]>();
  const find = (source: string, version: number) =>
    compiled.get(source)?.find((known) => known.version === version);

  const makeReady = (source: string, { project, version, body }: Definition): VersionedCleaning => {
    const cleaning = { version, project, body, cleaning: compileOrExplain(body) };
    compiled.set(source, [cleaning, ...compiled.get(source) ?? []].slice(0, 2));
    return cleaning;
  };

  function compileOrExplain(body: CleaningBody): Cleaning {
    try {
      return compile(body);
    } catch (error) {
      return unusableCleaning(error);
    }
  }

  return {
    async cleaningOf(source) {
      const definition = await current(source);
      if (definition === undefined) return NONE;
      return find(source, definition.version) ?? makeReady(source, definition);
    },
    async cleaningVersion(source, number) {
      if (number === 0) return NONE;
      const known = find(source, number);
      if (known !== undefined) return known;
      const definition = await version(source, number);
      if (definition === undefined) {
        throw new AppError(
          "internal",
          `Cannot clean "${source}" again: its cleaning has no version ${number}`,
        );
      }
      return makeReady(source, definition);
    },
  };
}
