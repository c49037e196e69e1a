/** Profiles of clean records by windows of event time: what is kept of batches, watched over, and shown. @module */
import type { CleaningBody } from "shared/contracts/cleaning.ts";
import type { Profile } from "shared/contracts/data_preprocessing.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Progress } from "shared/bus/consumer.ts";
import type { ProjectClocks } from "shared/bus/project_clocks.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { notFound } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import type { Cleanings } from "./cleanings.ts";
import { declaredFields } from "./domain/windows/declared_fields.ts";
import { compileWindowRules, type WindowRules } from "./domain/windows/rules.ts";
import type { Observation } from "./observe.ts";
import type { Block } from "./profiles/judged_source.ts";
import { type MeasuredProfile, measuredProfiles, type ProfilesRequest } from "./profiles/list.ts";
import { partsOf } from "./profiles/parts.ts";
import { drawProfile } from "./profiles/picture.ts";
import { createProfileWatch } from "./profiles/watch.ts";
import { appendClockMarks, appendParts } from "./repository/profiles.ts";

export interface ProfilesDeps {
  db: Database;
  log: Logger;
  clocks: Pick<ProjectClocks, "get">;
  cleaningOf: Cleanings["cleaningOf"];
  /** JSON Schema of the records as they are ingested; `undefined`: unknown. */
  sourceSchema(source: string): Record<string, unknown> | undefined;
  /** How far the intake has come. */
  progress(): Promise<Progress>;
  /** Holds a source because a window of it is not as it must be. */
  block: Block;
  pokeOutbox(): void;
  settleMs: number;
  keepDays: number;
  /** How often the windows are looked at. Default: each second. */
  everyMs?: number;
}

export interface Profiles {
  /** Keeps what clean records of the live flow say, in the transaction that counts them. */
  observe(tx: Transaction, observations: readonly Observation[]): Promise<void>;
  /** As many of the newest as fit into one message, at least one. */
  list(request: ProfilesRequest): Promise<Profile[]>;
  /**
   * The newest profile as SVG, and what names this state of it.
   *
   * @throws {AppError} `not_found` where there is no profile yet
   */
  picture(source: string): Promise<Picture>;
  part: Part;
}

export interface Picture {
  svg: string;
  /** Another one where another picture would be drawn. */
  revision: string;
}

/** A page must fit into one NATS message, whatever the values are. */
const MAX_PAGE_BYTES = 512 * 1024;
const MAX_KEPT_PICTURES = 50;

export function createProfiles(deps: ProfilesDeps): Profiles {
  const { db, cleaningOf } = deps;
  const compiled = new WeakMap<CleaningBody, WindowRules>();
  const pictures = new Map<string, Picture>();

  function rulesOf(body: CleaningBody): WindowRules {
    let rules = compiled.get(body);
    if (rules === undefined) compiled.set(body, rules = compileWindowRules(body));
    return rules;
  }

  async function newest(request: ProfilesRequest): Promise<MeasuredProfile[]> {
    const { body } = await cleaningOf(request.source);
    return await measuredProfiles(db, request, rulesOf(body));
  }

  return {
    part: createProfileWatch({
      ...deps,
      async judgedSource(source, project) {
        const { version, body } = await cleaningOf(source);
        const declared = declaredFields(body, deps.sourceSchema(source));
        return { source, project, cleaning: version, rules: rulesOf(body), declared };
      },
    }),

    async observe(tx, observations) {
      const parts = observations.flatMap(({ source, project = null, cleaning, events }) =>
        partsOf({ source, project, events }, rulesOf(cleaning.body))
      );
      await appendParts(tx, parts);
      await appendClockMarks(tx, newestClocks(observations));
    },

    async list(request) {
      const profiles: Profile[] = [];
      let bytes = 0;
      for (const { profile } of await newest(request)) {
        bytes += JSON.stringify(profile).length;
        if (profiles.length > 0 && bytes > MAX_PAGE_BYTES) break;
        profiles.push(profile);
      }
      return profiles;
    },

    async picture(source) {
      const [now, before] = (await newest({ source, limit: 10 })).filter(({ profile }) => profile.count > 0);
      if (now === undefined) {
        throw notFound(`Cannot draw the profile of "${source}": none of its records has been cleaned yet`);
      }
      const revision = [now, before].map((one) =>
        one === undefined ? "" : `${one.profile.from}/${one.profile.count}/${one.profile.anomalies.length}`
      ).join(" ");
      const known = pictures.get(source);
      if (known?.revision === revision) return known;
      const picture = { svg: await drawProfile(now, before), revision };
      pictures.delete(source);
      pictures.set(source, picture);
      const [oldest] = pictures.keys();
      if (pictures.size > MAX_KEPT_PICTURES) pictures.delete(oldest!);
      return picture;
    },
  };
}

/** Of each project the newest clock that came with these records. */
function newestClocks(observations: readonly Observation[]): Map<string, Instant> {
  const clocks = new Map<string, Instant>();
  for (const { project, clock } of observations) {
    if (project === undefined || clock === undefined) continue;
    if (clock > (clocks.get(project) ?? "")) clocks.set(project, clock);
  }
  return clocks;
}
