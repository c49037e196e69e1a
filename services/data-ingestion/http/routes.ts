/** What needs HTTP itself: bodies that are streams, or are read as their content type says. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { addEventsRoute, type EventsDeps } from "./events.ts";
import { describeRoutes } from "./openapi.ts";
import { addUploadRoute, type UploadRouteDeps } from "./uploads.ts";

/** Files may go on for as long as they like; bodies of JSON have a limit of their own. */
export const BODY_LIMITS: Readonly<Record<string, number>> = {
  "/v1/events/*": Number.MAX_SAFE_INTEGER,
  "/v1/uploads/*": Number.MAX_SAFE_INTEGER,
};

export function addRoutes(app: OpenAPIHono, deps: EventsDeps & UploadRouteDeps): void {
  describeRoutes(app);
  addEventsRoute(app, deps);
  addUploadRoute(app, deps);
}
