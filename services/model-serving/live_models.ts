/** The models that are served: loads what the aliases point to, and swaps without failing a request. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { delay } from "shared/delay.ts";
import { AppError, messageOf, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { answersAlike } from "./routing/alike.ts";
import type { ServedVersion } from "./runtime/admission.ts";

export interface LiveModelsDeps {
  log: Logger;
  /** The aliases whose versions are to be in memory, by model; the champion's first. */
  aliases: () => ReadonlyMap<string, readonly string[]>;
  /** Fetches and admits a version. */
  admit: (entry: AliasEntry) => Promise<ServedVersion>;
  /** Waits before something is tried again; for tests. */
  schedule?: (then: () => void, ms: number) => ReturnType<typeof setTimeout>;
}

export interface ServedModel {
  model: string;
  alias: string;
  version: number | null;
  state: "loading" | "ready" | "failed" | "waiting";
  error: string | null;
}

export interface LiveModels extends Part {
  /** An alias moved, or was removed. */
  aliasChanged(key: string, entry: AliasEntry | undefined): void;
  /** Other aliases are to be in memory. */
  aliasesChanged(): void;
  /**
   * The version of an alias; it stays in memory until it is given back.
   *
   * @throws {AppError} `unavailable` when the alias has no version in memory
   */
  lease(model: string, alias: string): Lease;
  /** The versions of a model that are in memory, the champion's first. */
  versions(model: string): ServedVersion[];
  /**
   * Brings the version of an alias into memory, wanted or not, and keeps it there for a moment.
   *
   * @returns its signature, or why it can't be served
   */
  prove(model: string, alias: string): Promise<Signature | { reason: string }>;
  /** Whether the alias has a version in memory whose answers mean the same as the champion's. */
  standsIn(model: string, alias: string): boolean;
  /** The version of the alias that is in memory. */
  versionOf(model: string, alias: string): number | undefined;
  list(): ServedModel[];
  /** Throws when the champion of a deployed model has a version that is not in memory; other arms fall back to it. */
  checkReady(): void;
  /** Whether no champion is on its way into memory for the first time: each is there, is awaited, or has failed. */
  isSettled(): boolean;
}

/** A version that is being used. */
export interface Lease {
  readonly served: ServedVersion;
  /** Gives it back; once. A version that was replaced is freed after its last user, who does not wait for that. */
  release(): void;
}

/** A version in memory and how many requests use it; freed after the last one when it is replaced. */
class LiveVersion implements Lease {
  readonly #log: Logger;
  #users = 0;
  #retired = false;

  constructor(readonly served: ServedVersion, log: Logger) {
    this.#log = log;
  }

  lease(): Lease {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#retired) void this.#freeWhenUnused();
  }

  async retire(): Promise<void> {
    this.#retired = true;
    await this.#freeWhenUnused();
  }

  /** Never rejects: nobody who uses a model is to blame for it. */
  async #freeWhenUnused(): Promise<void> {
    if (this.#users > 0) return;
    try {
      await this.served.model.unload();
    } catch (error) {
      const { model, version } = this.served.entry;
      this.#log.error({ model, version, err: error }, `Cannot free a version: ${messageOf(error)}`);
    }
  }
}

/** One alias of one model. */
interface Slot {
  readonly model: string;
  readonly alias: string;
  /** What the alias points to. */
  wanted: AliasEntry | undefined;
  live: LiveVersion | undefined;
  error: string | null;
  /** How often in a row what it wants failed in a way that waiting may help. */
  retries: number;
  /** The change in progress; changes of one model follow each other. */
  changing: Promise<void> | undefined;
}

/** The pause before a second try, and how far it grows: a version that is too slow takes a thread for seconds each time. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** How long an alias that was set just now may take to be told. */
const TELL_LIMIT_MS = 2_000;
const MOVE_LIMIT_MS = 500;
/** How long a version may take to be in memory. */
const LOAD_LIMIT_MS = 30_000;
/** How long a proven version stays: until the deployment that wants it is in force. */
const KEEP_MS = 10_000;
const POLL_MS = 20;

export function createLiveModels(
  { log, aliases, admit, schedule = setTimeout }: LiveModelsDeps,
): LiveModels {
  /** The alias entries known, by `<model>.<alias>`; and what is held of those that are wanted, by the same key. */
  const entries = new Map<string, AliasEntry>();
  const slots = new Map<string, Slot>();
  /** Aliases that are to be in memory for a moment, besides those that are wanted. */
  const proving = new Map<string, { model: string; alias: string }>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  let stopped = false;

  /** Brings every wanted alias to the version it points to, and lets go of what is not wanted any more. */
  function reconcile(): void {
    if (stopped) return;
    const wanted = new Set<string>();
    const named = [...aliases()].flatMap(([model, names]) => names.map((alias) => ({ model, alias })));
    for (const { model, alias } of [...named, ...proving.values()]) {
      const key = keyOf(model, alias);
      wanted.add(key);
      if (slots.has(key)) continue;
      const empty = { wanted: undefined, live: undefined, error: null, retries: 0, changing: undefined };
      slots.set(key, { model, alias, ...empty });
    }
    for (const [key, slot] of slots) {
      const entry = wanted.has(key) ? entries.get(key) : undefined;
      if (entry !== slot.wanted) slot.retries = 0;
      slot.wanted = entry;
      slot.changing ??= change(key, slot);
    }
  }

  async function change(key: string, slot: Slot): Promise<void> {
    const { model, alias } = slot;
    // It is known as the change in progress before it can be over.
    await Promise.resolve();
    while (!stopped && isBehind(slot)) {
      const wanted = slot.wanted;
      try {
        const served = wanted && await admit(wanted);
        if (slot.wanted !== wanted && !stopped) {
          // The alias moved on meanwhile, perhaps back: this version is not to answer anybody.
          await served?.model.unload();
          continue;
        }
        const previous = slot.live;
        slot.live = served && new LiveVersion(served, log);
        slot.error = null;
        slot.retries = 0;
        await previous?.retire();
        log.info(
          { model, alias, version: wanted?.version ?? null },
          wanted ? "serving a version" : "serving no version",
        );
      } catch (error) {
        slot.error = messageOf(error);
        log.error(
          { model, alias, version: wanted?.version, err: error },
          "cannot serve a version; what was served stays",
        );
        if (isInfrastructureError(error)) {
          later(Math.min(RETRY_MS * 2 ** slot.retries++, MAX_RETRY_MS), () => {});
        }
        if (slot.wanted === wanted) break;
      }
    }
    // What failed is not wanted any more where the alias moved back.
    if (!isBehind(slot)) slot.error = null;
    // In the same turn as the last look: an alias that moves from here on begins a new change.
    slot.changing = undefined;
    if (!slot.wanted && !proving.has(key) && !aliases().get(model)?.includes(alias)) slots.delete(key);
  }

  function later(ms: number, then: () => void): void {
    if (stopped) return;
    const timer = schedule(() => {
      timers.delete(timer);
      then();
      reconcile();
    }, ms);
    timers.add(timer);
  }

  async function prove(model: string, alias: string): Promise<Signature | { reason: string }> {
    const key = keyOf(model, alias);
    const claim = { model, alias };
    proving.set(key, claim);
    later(KEEP_MS, () => {
      if (proving.get(key) === claim) proving.delete(key);
    });
    reconcile();
    const startedAt = performance.now();
    while (true) {
      const slot = slots.get(key);
      if (slot?.live && !isBehind(slot)) return slot.live.served.signature;
      const waited = performance.now() - startedAt;
      // An alias that was moved just now, away from what failed, may not have been told.
      if (slot?.error && !slot.changing && waited > MOVE_LIMIT_MS) return { reason: slot.error };
      if (!slot?.wanted && waited > TELL_LIMIT_MS) return { reason: "it points to no version" };
      if (stopped || waited > LOAD_LIMIT_MS) return { reason: "its version is not in memory yet" };
      await delay(POLL_MS);
    }
  }

  function list(): ServedModel[] {
    return [...aliases()].flatMap(([model, names]) =>
      names.map((alias) => {
        const slot = slots.get(keyOf(model, alias));
        return {
          model,
          alias,
          version: slot?.live?.served.entry.version ?? null,
          state: stateOf(slot),
          error: slot?.error ?? null,
        };
      })
    );
  }

  /** Champions without a version in memory. */
  function missingChampions(): ServedModel[] {
    const champions = new Set([...aliases()].map(([model, [champion]]) => keyOf(model, champion!)));
    return list().filter(({ model, alias, version }) =>
      version === null && champions.has(keyOf(model, alias))
    );
  }

  return {
    name: "live models",
    start: () => {
      reconcile();
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...slots.values()].map(({ changing }) => changing));
      await Promise.all([...slots.values()].map(({ live }) => live?.retire()));
    },
    aliasChanged(key, entry) {
      const known = entries.get(key);
      if (entry && known && entry.revision < known.revision) return;
      if (entry) entries.set(key, entry);
      else entries.delete(key);
      reconcile();
    },
    aliasesChanged: reconcile,
    lease(model, alias) {
      const slot = slots.get(keyOf(model, alias));
      if (!slot?.live) {
        throw slot?.error
          ? new AppError("unavailable", `Cannot predict with "${model}": ${slot.error}`, { retryAfter: 5 })
          : unavailable(`Cannot predict with "${model}": no version has the alias "${alias}" yet`);
      }
      return slot.live.lease();
    },
    versions: (model) =>
      (aliases().get(model) ?? []).flatMap((alias) => slots.get(keyOf(model, alias))?.live?.served ?? []),
    prove,
    standsIn(model, alias) {
      const [championAlias] = aliases().get(model) ?? [];
      const its = slots.get(keyOf(model, alias))?.live?.served;
      const champion = slots.get(keyOf(model, championAlias ?? ""))?.live?.served;
      return its !== undefined && (champion === undefined || answersAlike(its.signature, champion.signature));
    },
    versionOf: (model, alias) => slots.get(keyOf(model, alias))?.live?.served.entry.version,
    list,
    isSettled: () => missingChampions().every(({ state }) => state !== "loading"),
    checkReady() {
      const notReady = missingChampions().filter(({ state }) => state !== "waiting");
      if (notReady.length === 0) return;
      throw unavailable(
        notReady.map(({ model, alias, state, error }) => `${model} (${alias}) is ${state}: ${error ?? ""}`)
          .join("; "),
      );
    },
  };
}

const keyOf = (model: string, alias: string) => `${model}.${alias}`;

/** Whether the alias points to something else than what is in memory. */
function isBehind({ wanted, live }: Slot): boolean {
  const entry = live?.served.entry;
  return wanted?.version !== entry?.version || wanted?.sha256 !== entry?.sha256;
}

function stateOf(slot: Slot | undefined): ServedModel["state"] {
  if (!slot?.wanted) return "waiting";
  if (slot.error !== null) return "failed";
  return isBehind(slot) ? "loading" : "ready";
}
