/** The models that are served: loads what the aliases point to, and swaps without failing a request. @module */
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { AliasEntry } from "shared/contracts/model_training.ts";
import { AppError, messageOf, notFound, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import type { ServedVersion } from "./runtime.ts";

export interface LiveModelsDeps {
  log: Logger;
  /** The deployments in force, by model. */
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  /** Fetches and admits a version. */
  admit: (entry: AliasEntry) => Promise<ServedVersion>;
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
  /** Deployments changed. */
  deploymentsChanged(): void;
  /** Runs work with the version in force; it stays in memory until the work is done. */
  use<T>(model: string, work: (served: ServedVersion, deployment: DeploymentBody) => Promise<T>): Promise<T>;
  list(): ServedModel[];
  /** Throws when a deployed model that has a version is not in memory. */
  checkReady(): void;
}

/** A version in memory and how many requests use it; freed after the last one when it is replaced. */
class Lease {
  #users = 0;
  #retired = false;

  constructor(readonly served: ServedVersion) {}

  async use<T>(work: (served: ServedVersion) => Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await work(this.served);
    } finally {
      this.#users--;
      if (this.#retired) await this.#freeWhenUnused();
    }
  }

  async retire(): Promise<void> {
    this.#retired = true;
    await this.#freeWhenUnused();
  }

  async #freeWhenUnused(): Promise<void> {
    if (this.#users === 0) await this.served.model.unload();
  }
}

interface Slot {
  /** What the alias points to. */
  wanted: AliasEntry | undefined;
  lease: Lease | undefined;
  error: string | null;
  /** The change in progress; changes of one model follow each other. */
  changing: Promise<void> | undefined;
}

const RETRY_MS = 1_000;

export function createLiveModels({ log, deployments, admit }: LiveModelsDeps): LiveModels {
  /** The alias entries known, by `<model>.<alias>`. */
  const aliases = new Map<string, AliasEntry>();
  const slots = new Map<string, Slot>();
  const retries = new Set<ReturnType<typeof setTimeout>>();
  let stopped = false;

  /** Brings every deployed model to what its alias points to, and lets go of what is not deployed any more. */
  function reconcile(): void {
    if (stopped) return;
    const deployed = deployments();
    for (const model of new Set([...deployed.keys(), ...slots.keys()])) {
      const slot = slotOf(model);
      const alias = deployed.get(model)?.alias;
      slot.wanted = alias === undefined ? undefined : aliases.get(`${model}.${alias}`);
      slot.changing ??= change(model, slot);
    }
  }

  function slotOf(model: string): Slot {
    let slot = slots.get(model);
    if (!slot) {
      slots.set(model, slot = { wanted: undefined, lease: undefined, error: null, changing: undefined });
    }
    return slot;
  }

  async function change(model: string, slot: Slot): Promise<void> {
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
        const previous = slot.lease;
        slot.lease = served && new Lease(served);
        slot.error = null;
        await previous?.retire();
        log.info(
          { model, version: wanted?.version ?? null },
          wanted ? "serving a version" : "serving no version",
        );
      } catch (error) {
        slot.error = messageOf(error);
        log.error(
          { model, version: wanted?.version, err: error },
          "cannot serve a version; what was served stays",
        );
        if (isInfrastructureError(error)) retryLater();
        if (slot.wanted === wanted) break;
      }
    }
    // In the same turn as the last look: an alias that moves from here on begins a new change.
    slot.changing = undefined;
    if (!slot.wanted && !deployments().has(model)) slots.delete(model);
  }

  function retryLater(): void {
    const timer = setTimeout(() => {
      retries.delete(timer);
      reconcile();
    }, RETRY_MS);
    retries.add(timer);
  }

  function list(): ServedModel[] {
    return [...deployments()].map(([model, { alias }]) => {
      const slot = slots.get(model);
      return {
        model,
        alias,
        version: slot?.lease?.served.entry.version ?? null,
        state: stateOf(slot),
        error: slot?.error ?? null,
      };
    });
  }

  return {
    name: "live models",
    start: () => {
      reconcile();
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      for (const timer of retries) clearTimeout(timer);
      await Promise.all([...slots.values()].map(({ changing }) => changing));
      await Promise.all([...slots.values()].map(({ lease }) => lease?.retire()));
    },
    aliasChanged(key, entry) {
      const known = aliases.get(key);
      if (entry && known && entry.revision < known.revision) return;
      if (entry) aliases.set(key, entry);
      else aliases.delete(key);
      reconcile();
    },
    deploymentsChanged: reconcile,
    async use(model, work) {
      const deployment = deployments().get(model);
      if (!deployment) {
        const known = [...deployments().keys()].join(", ") || "none is deployed";
        throw notFound(`Cannot predict with "${model}": it must be one of the deployed models: ${known}`);
      }
      const slot = slots.get(model);
      if (!slot?.lease) {
        throw slot?.error
          ? new AppError("unavailable", `Cannot predict with "${model}": ${slot.error}`, { retryAfter: 5 })
          : unavailable(`Cannot predict with "${model}": no version has the alias "${deployment.alias}" yet`);
      }
      return await slot.lease.use((served) => work(served, deployment));
    },
    list,
    checkReady() {
      const notReady = list().filter(({ version, state }) => version === null && state !== "waiting");
      if (notReady.length === 0) return;
      throw unavailable(
        notReady.map(({ model, state, error }) => `${model} is ${state}: ${error ?? ""}`).join("; "),
      );
    },
  };
}

/** Whether the alias points to something else than what is in memory. */
function isBehind({ wanted, lease }: Slot): boolean {
  const entry = lease?.served.entry;
  return wanted?.version !== entry?.version || wanted?.sha256 !== entry?.sha256;
}

function stateOf(slot: Slot | undefined): ServedModel["state"] {
  if (!slot?.wanted) return "waiting";
  if (slot.error !== null) return "failed";
  return isBehind(slot) ? "loading" : "ready";
}
