import { runService } from "shared/service.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

await runService({ name: "model-training", config: configSchema, createApp });
