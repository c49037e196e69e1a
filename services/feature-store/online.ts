/** Reading features of entities at T. @module */
import type { ProjectClocks } from "shared/bus/project_clocks.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import type { online } from "shared/contracts/feature_store.ts";
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Queryable } from "shared/db/connection.ts";
import { type FeatureCache, wrongEntity } from "./catalog.ts";
import { createHistory, type History } from "./domain/history.ts";
import type { ViewPlan } from "./domain/view_plan.ts";
import type { Position } from "./position.ts";
import { readHistories, readNewestTimes } from "./repository/records.ts";

export interface OnlineDeps {
  db: Queryable;
  features: FeatureCache;
  clocks: Pick<ProjectClocks, "now">;
  position: Position;
}

export async function readOnline(
  { db, features, clocks, position }: OnlineDeps,
  request: RequestOf<typeof online>,
): Promise<ReplyOf<typeof online>> {
  const { plan, version, project, keysOf } = await features.find(request.features);
  const at = request.asOf === undefined ? clocks.now(project) : Date.parse(request.asOf);
  // Before the records: all that this position covers is among them.
  const applied = await position.read();

  const keys = new Map([...keysOf].map(([entity, parts]) => [entity, keysOfEntity(entity, parts)]));
  const groups = groupViews(plan.views);
  const histories = await Promise.all(groups.map((group) => loadGroup(group)));

  const rows = request.entities.map((entity, index) => {
    const { values, statuses, eventTimes, approximate } = plan.evaluate(
      (view) => ({ history: histories[groups.findIndex(({ views }) => views.includes(view))]![index]! }),
      { atMs: at },
    );
    return {
      entity,
      values,
      statuses,
      eventTimes: eventTimes.map((time) => time === null ? null : toInstant(time)),
      ...(approximate.length > 0 ? { approximate } : {}),
    };
  });
  return {
    features: [...plan.features],
    version,
    views: plan.views.map(({ name, version }) => ({ name, version })),
    at: toInstant(at),
    position: applied,
    rows,
    next: null,
  };

  function keysOfEntity(entity: string, parts: Readonly<Record<string, KeyType>>): string[] {
    return request.entities.map((given) => {
      const key = entityKey(given, parts);
      if (key === undefined) throw wrongEntity(entity, parts, given);
      return key;
    });
  }

  /** The histories of the asked entities, in the order asked, as far back as the views look. */
  async function loadGroup({ entity, source, views }: ViewGroup): Promise<History[]> {
    const layout = plan.layouts.get(source)!;
    const asked = keys.get(entity)!;
    const after = Math.min(...views.map((view) => view.reachesBack(at)));
    const records = await readHistories(db, {
      entity,
      source,
      keys: [...new Set(asked)],
      fields: layout.filters.length > 0 ? undefined : layout.fields,
      after,
      until: at,
      knownBy: at,
    });
    const without = [...new Set(asked)].filter((key) => !records.has(key));
    const newest = after === -Infinity || without.length === 0
      ? new Map<string, number>()
      : await readNewestTimes(db, { entity, source, keys: without, until: at });
    return asked.map((key) =>
      createHistory(layout, records.get(key) ?? [], { newestBefore: newest.get(key) })
    );
  }
}

/** Views that look at the same records. */
interface ViewGroup {
  entity: string;
  source: string;
  views: ViewPlan[];
}

function groupViews(views: readonly ViewPlan[]): ViewGroup[] {
  const groups: ViewGroup[] = [];
  for (const view of views) {
    const group = groups.find(({ entity, source }) => entity === view.entity && source === view.source);
    if (group === undefined) groups.push({ entity: view.entity, source: view.source, views: [view] });
    else group.views.push(view);
  }
  return groups;
}
