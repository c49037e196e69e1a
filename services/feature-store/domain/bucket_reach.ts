import type { ViewBody } from "shared/contracts/feature_store.ts";
import { windowStart } from "./time_grid.ts";
import { planStorage } from "./view_storage.ts";

/**
 * Where the oldest bucket begins that a window reaches which ends at `fromMs` or later, for each size. The bucket over the
 * lifetime has no age.
 */
export function oldestReached(body: ViewBody, fromMs: number): { sizeMs: number; startMs: number }[] {
  const { aggregates, ladder } = planStorage(body);
  const oldest = new Map<number, number>();
  for (const { window } of aggregates.values()) {
    if (window === null) continue;
    const startMs = windowStart(fromMs, window);
    for (const sizeMs of ladder(window)) {
      oldest.set(sizeMs, Math.min(startMs, oldest.get(sizeMs) ?? Infinity));
    }
  }
  return [...oldest].map(([sizeMs, startMs]) => ({ sizeMs, startMs }));
}
