import type { Task } from "shared/contracts/signature.ts";
import { sigmoid } from "../log_odds.ts";

/** Scores as probabilities or values: [outputs][rows], in place. */
export function answersOf(task: Task, scores: Float64Array[]): Float64Array[] {
  const [first] = scores;
  const rows = first!.length;
  if (task === "binary") {
    for (let row = 0; row < rows; row++) first![row] = sigmoid(first![row]!);
  }
  if (task === "multiclass") {
    for (let row = 0; row < rows; row++) {
      let highest = -Infinity;
      for (const own of scores) highest = Math.max(highest, own[row]!);
      let sum = 0;
      for (const own of scores) {
        own[row] = Math.exp(own[row]! - highest);
        sum += own[row]!;
      }
      for (const own of scores) own[row] = own[row]! / sum;
    }
  }
  return scores;
}
