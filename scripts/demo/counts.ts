/** Counts that reconcile, from what the demo published to what the feature store holds. @module */
import { call } from "shared/bus/endpoints.ts";
import { ledger, type LedgerRow } from "shared/contracts/data_ingestion.ts";
import { type CleaningCounts, counts as cleaningCounts } from "shared/contracts/data_preprocessing.ts";
import { counts as featureCounts, online } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import { DemoFailure, waitFor } from "./checks.ts";
import type { Demo } from "./demo_context.ts";
import type { SourceTally } from "./published.ts";
import { grouped, minute } from "./screen.ts";

type FeatureCounts = Awaited<ReturnType<typeof readFeatureCounts>>[number];

/** Without any progress for this long, what is missing will not come. */
const STALLED_AFTER_MS = 45_000;

const cleanOf = ({ published, rejected, duplicates, filtered }: SourceTally) =>
  published - rejected - duplicates - filtered;

/** Waits until all that was published went its way through the three stages. */
export async function waitUntilApplied({ bus, published, screen }: Demo): Promise<void> {
  const tallies = [...published.sources.values()];
  const expected = tallies.reduce((sum, tally) => sum + cleanOf(tally), 0);
  const cleanable = tallies.reduce((sum, tally) => sum + cleanOf(tally) + tally.filtered, 0);
  let progressAt = performance.now();
  let before = -1;
  await waitFor("the records in the feature store", async () => {
    const [cleaned, applied] = await Promise.all([
      call(bus, cleaningCounts, {}).then(({ sources }) => sum(sources, "received")),
      readFeatureCounts(bus).then((sources) => sum(sources, "received")),
    ]);
    screen.progress(
      `cleaned ${grouped(cleaned)} of ${grouped(cleanable)}, ` +
        `in the feature store ${grouped(applied)} of ${grouped(expected)}`,
    );
    if (applied >= expected && cleaned >= cleanable) return true;
    if (cleaned + applied !== before) progressAt = performance.now();
    before = cleaned + applied;
    if (performance.now() - progressAt > STALLED_AFTER_MS) {
      throw new DemoFailure(
        `for ${STALLED_AFTER_MS / 1_000} s no record went on: cleaned are ` +
          `${grouped(cleaned)} of ${grouped(cleanable)}, applied ${grouped(applied)} of ${grouped(expected)}`,
      );
    }
    return undefined;
  }, { timeoutMs: 600_000, everyMs: 400 });
}

/** Shows the counts of every source side by side, and checks each against the demo's own. */
export async function showCounts({ bus, screen, checks, published }: Demo): Promise<void> {
  const [ingested, cleaned, applied] = await Promise.all([
    call(bus, ledger, {}).then(({ sources }) => sources),
    call(bus, cleaningCounts, {}).then(({ sources }) => sources),
    readFeatureCounts(bus),
  ]);
  const sources = [...published.sources.keys()];
  const rowsOf = <Row extends { source: string }>(rows: readonly Row[]) =>
    sources.map((source) => rows.find((row) => row.source === source));

  const columns = { ingested: rowsOf(ingested), cleaned: rowsOf(cleaned), applied: rowsOf(applied) };
  screen.table(
    [
      "data-ingestion",
      "published",
      "= accepted",
      "= stored",
      "+ rejected",
      "+ duplicates",
      "+ dead-lettered",
    ],
    sources.map((source, index) => {
      const { accepted = 0, stored = 0, rejected = 0, duplicates = 0, deadLettered = 0 } =
        columns.ingested[index] ?? {};
      const own = published.sources.get(source)!.published;
      return [source, own, accepted, stored, rejected, duplicates, deadLettered];
    }),
  );
  screen.table(
    ["data-preprocessing", "received", "= clean", "+ filtered", "+ quarantined", "+ duplicates"],
    present(sources, columns.cleaned).map(([source, row]) => [
      source,
      row.received,
      row.clean,
      row.filtered,
      row.quarantined,
      row.duplicates,
    ]),
  );
  screen.table(
    ["feature-store", "received", "= records", "+ unused", "+ duplicates", "+ refused"],
    present(sources, columns.applied).map(([source, row]) => [
      source,
      row.received,
      row.records,
      row.unused,
      row.duplicates,
      row.refused,
    ]),
  );

  sources.forEach((source, index) => {
    const tally = published.sources.get(source)!;
    checkLedger(source, tally, columns.ingested[index]);
    checkCleaning(source, tally, columns.cleaned[index]);
    checkFeatures(source, tally, columns.applied[index]);
  });

  function checkLedger(source: string, tally: SourceTally, row: LedgerRow | undefined): void {
    checks.count(`records of ${source} accepted`, tally.published, row?.accepted ?? 0);
    checks.count(`records of ${source} that wait`, 0, row?.pending ?? 0);
    checks.count(`records of ${source} rejected`, tally.rejected, row?.rejected ?? 0);
    checks.count(`records of ${source} found to be duplicates`, tally.duplicates, row?.duplicates ?? 0);
    checks.count(`records of ${source} dead-lettered`, 0, row?.deadLettered ?? 0);
    checks.count(
      `records of ${source} stored`,
      tally.published - tally.rejected - tally.duplicates,
      row?.stored ?? 0,
    );
  }

  function checkCleaning(source: string, tally: SourceTally, row: CleaningCounts | undefined): void {
    const stored = tally.published - tally.rejected - tally.duplicates;
    checks.count(`records of ${source} ingested`, stored, row?.received ?? 0);
    checks.count(`records of ${source} filtered`, tally.filtered, row?.filtered ?? 0);
    checks.count(`records of ${source} quarantined`, 0, row?.quarantined ?? 0);
    checks.count(`records of ${source} cleaned twice`, 0, row?.duplicates ?? 0);
    checks.count(`records of ${source} clean`, cleanOf(tally), row?.clean ?? 0);
  }

  function checkFeatures(source: string, tally: SourceTally, row: FeatureCounts | undefined): void {
    const clean = cleanOf(tally);
    checks.count(`clean records of ${source} received`, clean, row?.received ?? 0);
    checks.count(`clean records of ${source} kept for features`, tally.isUsed ? clean : 0, row?.records ?? 0);
    checks.count(`clean records of ${source} that no view reads`, tally.isUsed ? 0 : clean, row?.unused ?? 0);
  }
}

/** Waits until the feature store reads at the project's newest time when told no other. */
export async function waitForClock({ bus, screen }: Demo, clock: Instant): Promise<void> {
  await waitFor(`the project's clock to be ${clock}`, async () => {
    const { at } = await call(bus, online, {
      features: { service: "reorder" },
      entities: [{ customer_id: 1 }],
    });
    return at === clock ? true : undefined;
  }, { timeoutMs: 15_000 });
  screen.line(`   The project's clock, its newest event: ${minute(clock)}`);
}

async function readFeatureCounts(bus: Demo["bus"]) {
  return (await call(bus, featureCounts, {})).sources;
}

const sum = <Key extends string>(rows: readonly Record<Key, number>[], key: Key): number =>
  rows.reduce((total, row) => total + row[key], 0);

function present<Row>(sources: readonly string[], rows: readonly (Row | undefined)[]): [string, Row][] {
  return sources.flatMap((source, index) => {
    const row = rows[index];
    return row === undefined ? [] : [[source, row] as [string, Row]];
  });
}
