import type { Bus } from "shared/bus/connection.ts";
import type { Stack } from "../stack.ts";
import type { Checks } from "./checks.ts";
import type { PredictionTally } from "./prediction_tally.ts";
import type { Published } from "./published.ts";
import type { Screen } from "./screen.ts";

/** What every stage works with. */
export interface Demo {
  stack: Stack;
  bus: Bus;
  screen: Screen;
  checks: Checks;
  published: Published;
  predictions: PredictionTally;
}

/** Who the demo acts as. */
export const ACTOR = "demo";

export const MODEL = "reorder";
export const ALIAS = "champion";
