/** The SQL of the versions of views that the versions of feature services stay with. @module */
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** Ties a version of a feature service to the versions of views in force. */
export async function pinViews(
  tx: Transaction,
  { service, version, views }: { service: string; version: number; views: readonly string[] },
): Promise<void> {
  await tx`
    insert into feature_service_views (feature_service, version, view, view_version)
    select ${service}, ${version}, name, version from current_definitions
    where kind = 'view' and name = any(${views as string[]})`;
}

/** The version of each view that a version of a feature service was made with. */
export async function readPins(
  db: Queryable,
  { service, version }: { service: string; version: number },
): Promise<Map<string, number>> {
  const rows = await db<{ view: string; version: number }[]>`
    select view, view_version as version from feature_service_views
    where feature_service = ${service} and version = ${version}`;
  return new Map(rows.map(({ view, version }) => [view, version]));
}

/** The feature services in force that are made with a view. */
export async function readServicesOver(tx: Transaction, view: string): Promise<string[]> {
  const rows = await tx<{ name: string }[]>`
    select name from current_definitions as service
    join feature_service_views as pin on pin.feature_service = service.name and pin.version = service.version
    where kind = 'feature-service' and view = ${view} order by name`;
  return rows.map(({ name }) => name);
}
