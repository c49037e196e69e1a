/** The SQL of comparisons. @module */
import type { Comparison, Gate } from "shared/contracts/model_training.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";

export interface NewComparison extends Comparison {
  model: string;
  /** The alias that the candidate would take. */
  against: string;
  trainingSet: string;
  gate: Gate;
  from: Instant | null;
  until: Instant | null;
  actor: string;
}

export async function insertComparison(tx: Transaction, compared: NewComparison): Promise<void> {
  await tx`
    insert into comparisons (id, model, candidate, against, champion, training_set, gate, metric, rows, judged_from,
      judged_until, candidate_value, champion_value, baseline_value, gain, passed, reasons, actor)
    values (${compared.id}, ${compared.model}, ${compared.candidate}, ${compared.against}, ${compared.champion},
      ${compared.trainingSet}, ${
    JSON.stringify(compared.gate)
  }::text::json, ${compared.metric}, ${compared.rows},
      ${compared.from}, ${compared.until}, ${compared.candidateValue}, ${compared.championValue},
      ${compared.baselineValue}, ${compared.gain}, ${compared.passed},
      ${JSON.stringify(compared.reasons)}::text::json, ${compared.actor})`;
}
