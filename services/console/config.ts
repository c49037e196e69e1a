import { z } from "zod";
import { databaselessConfigSchema } from "shared/config.ts";

const ports = "must be name=port pairs such as alert=8006,orchestration=8007";

export const configSchema = databaselessConfigSchema.extend({
  /** How to reach a service over HTTP; `{service}` and `{port}` are filled in for each. */
  SERVICE_URL: z.string().regex(
    /^https?:\/\/[^\s]+$/,
    "must be an address such as http://127.0.0.1:{port} or http://{service}:{port}",
  ).default("http://127.0.0.1:{port}"),
  /** Ports that are not those of the table of services. */
  SERVICE_PORTS: z.string().regex(/^[a-z-]+=\d+(?:,[a-z-]+=\d+)*$/, ports).optional(),
});
