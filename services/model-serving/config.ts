import { baseConfigSchema } from "shared/config.ts";

/** model-serving needs nothing beyond what every service does. */
export const configSchema = baseConfigSchema;
