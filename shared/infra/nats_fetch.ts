/** What the ways of fetching nats-server have in common. @module */

export interface Platform {
  os: string;
  arch: string;
}

/** What a way of fetching gets to work with. */
export interface FetchContext {
  version: string;
  platform: Platform;
  /** A folder of its own, removed afterwards. */
  scratch: string;
  say: (line: string) => void;
  env: (name: string) => string | undefined;
  silenceMs: number;
}

/** A way of fetching: the path of a program, in the scratch folder or elsewhere; throws with the reason. */
export type FetchWay = (context: FetchContext) => Promise<string>;
