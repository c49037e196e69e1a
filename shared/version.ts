/** The version of the platform: all services carry the same one, as in their deno.json. */
export const VERSION = "0.1.0";
