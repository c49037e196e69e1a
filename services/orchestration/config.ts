import { baseConfigSchema } from "shared/config.ts";

/** orchestration needs nothing beyond what every service does. */
export const configSchema = baseConfigSchema;
