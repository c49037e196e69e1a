/** Calls from NATS and HTTP -> the windows and counts kept. @module */
import { bind, type BoundEndpoint, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_monitoring.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";

export interface EndpointDeps {
  listWindows: (
    request: RequestOf<typeof contract.drift>,
  ) => Promise<ReplyOf<typeof contract.drift>["windows"]>;
  countPredictions: () => Promise<ReplyOf<typeof contract.predictionCounts>["models"]>;
  listLogGaps: (
    request: RequestOf<typeof contract.logGaps>,
  ) => Promise<ReplyOf<typeof contract.logGaps>["boots"]>;
  compareShadows: (
    request: { model: string; since: Instant; tolerance: number },
  ) => Promise<ReplyOf<typeof contract.shadowDifferences>["differences"]>;
}

/** What is compared when nobody says since when. */
const DAY_MS = 86_400_000;

export function createEndpoints(deps: EndpointDeps): BoundEndpoint[] {
  const { listWindows, countPredictions, listLogGaps, compareShadows } = deps;
  return [
    bind(contract.drift, async (request) => ({ windows: await listWindows(request) })),
    bind(contract.predictionCounts, async () => ({ models: await countPredictions() })),
    bind(contract.logGaps, async (request) => ({ boots: await listLogGaps(request) })),
    bind(contract.shadowDifferences, async ({ model, since, tolerance }) => {
      const from = since ?? toInstant(Date.now() - DAY_MS);
      return { since: from, differences: await compareShadows({ model, since: from, tolerance }) };
    }),
  ];
}
