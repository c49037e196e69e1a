/**
 * The platform's own log lines as a source. A project of its own, because it lives by the wall's clock: in the
 * example's project, a log line of today would move the clock from 2011 to today.
 *
 * @module
 */
import { defineProject } from "microml";

export default defineProject({
  project: "platform",
  clock: "wall",
  sources: {
    logs: {
      kind: "logs",
      description: "What the services log, one JSON line an entry (Elastic Common Schema)",
      schema: {
        type: "object",
        required: ["@timestamp", "log.level", "message", "service.name"],
        properties: {
          "@timestamp": { type: "string" },
          "log.level": { type: "string" },
          message: { type: "string" },
          "service.name": { type: "string" },
        },
      },
      time: "@timestamp",
    },
  },
  cleaning: {
    logs: {
      steps: [
        {
          step: "rename",
          fields: { "@timestamp": "logged_at", "log.level": "level", "service.name": "service" },
        },
        { step: "cast", fields: ["logged_at"], to: "instant" },
        { step: "filter", expression: 'e.level != "trace" && e.level != "debug"', reason: "too fine" },
      ],
      expectations: [
        { expect: "set", field: "level", values: ["info", "warn", "error", "fatal"], action: "warn" },
      ],
    },
  },
});
