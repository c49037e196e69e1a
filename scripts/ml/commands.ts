/** The table of commands, in the order in which the help lists them. @module */
import { apply } from "./apply.ts";
import { blocks, release } from "./blocks.ts";
import type { Command } from "./command.ts";
import { deadLetters } from "./dead_letters.ts";
import { init } from "./init.ts";
import { ledger } from "./ledger.ts";
import { load } from "./load.ts";
import { quarantined } from "./quarantined.ts";
import { redriveDeadLetters, redriveQuarantined, redriveRejected } from "./redrive.ts";
import { rejected } from "./rejected.ts";
import { replayCancel, replayList, replayStart } from "./replay.ts";

export const COMMANDS: readonly Command[] = [
  init,
  apply,
  load,
  ledger,
  rejected,
  quarantined,
  deadLetters,
  redriveRejected,
  redriveQuarantined,
  redriveDeadLetters,
  replayStart,
  replayList,
  replayCancel,
  blocks,
  release,
];
