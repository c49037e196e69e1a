/**
 * Dying on purpose: how tests let a consumer end as abruptly as a kill -9 would, at a chosen point.
 *
 * @module
 */

/** Where a consumer stands: its database has committed; what it publishes is acknowledged; its input is. */
export type CrashStage = "written" | "published" | "acknowledged";

/** Called at each stage; throws {@link InjectedCrash} to die there. */
export type CrashPoint = (stage: CrashStage) => void;

/** The consumer that meets this stops where it stands: no retry, no acknowledgement, no word to the server. */
export class InjectedCrash extends Error {
  constructor(stage: CrashStage) {
    super(`Crash on purpose once ${stage}`);
    this.name = "InjectedCrash";
  }
}
