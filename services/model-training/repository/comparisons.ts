/** The SQL of comparisons. @module */
import type { KeptComparison } from "shared/contracts/model_training.ts";
import type { Database, Transaction } from "shared/db/connection.ts";

export async function insertComparison(tx: Transaction, compared: Omit<KeptComparison, "at">): Promise<void> {
  const json = (value: unknown) => JSON.stringify(value);
  await tx`
    insert into comparisons (id, model, candidate, against, champion, training_set, gate, metric, rows, judged_from,
      judged_until, candidate_value, champion_value, baseline_value, gain, slices, passed, reasons, actor)
    values (${compared.id}, ${compared.model}, ${compared.candidate}, ${compared.against}, ${compared.champion},
      ${compared.trainingSet}, ${json(compared.gate)}::text::json, ${compared.metric}, ${compared.rows},
      ${compared.from}, ${compared.until}, ${compared.candidateValue}, ${compared.championValue},
      ${compared.baselineValue}, ${compared.gain}, ${json(compared.slices)}::text::json, ${compared.passed},
      ${json(compared.reasons)}::text::json, ${compared.actor})`;
}

/** Newest first; one more than the limit where there are more. */
export async function listComparisons(
  db: Database,
  { model, candidate, limit, after }: {
    model: string;
    candidate?: number | undefined;
    limit: number;
    after?: string | undefined;
  },
): Promise<KeptComparison[]> {
  const rows = await db<KeptComparison[]>`
    select id, model, candidate, against, champion, training_set as "trainingSet", gate, metric, rows,
      judged_from as "from", judged_until as until, candidate_value as "candidateValue",
      champion_value as "championValue", baseline_value as "baselineValue", gain, slices, passed, reasons, actor, at
    from comparisons
    where model = ${model} and ${candidate === undefined ? db`true` : db`candidate = ${candidate}`}
      and ${after === undefined ? db`true` : db`id < ${after}`}
    order by id desc limit ${limit + 1}`;
  return rows.map((row) => ({ ...row }));
}
