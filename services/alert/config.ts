import { baseConfigSchema } from "shared/config.ts";

/** The alert service needs nothing beyond what every service does. */
export const configSchema = baseConfigSchema;
