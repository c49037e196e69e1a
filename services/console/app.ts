/** Wires the rooms of the console; also the door that its tests use. @module */
import type { z } from "zod";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { type ServiceRow, SERVICES } from "../../scripts/services.ts";
import type { configSchema } from "./config.ts";
import { createEndpoints } from "./endpoints.ts";
import { addRoutes } from "./http.ts";
import { createOverviewWatch } from "./overview.ts";

export function createApp({ bus, log, config }: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const ports = new Map(config.SERVICE_PORTS?.split(",").map((pair) => pair.split("=") as [string, string]));
  const urlOf = ({ name, httpPort }: ServiceRow) =>
    config.SERVICE_URL.replace("{service}", name).replace("{port}", ports.get(name) ?? String(httpPort));
  const watch = createOverviewWatch({ bus, log, services: SERVICES, urlOf });
  return {
    endpoints: createEndpoints({ current: watch.current }),
    routes: (app) => addRoutes(app, { services: SERVICES, urlOf, follow: watch.follow }),
    parts: [watch],
  };
}
