import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import { baseConfigSchema, describeConfigError, integerSetting, loadConfig } from "./config.ts";
import { AppError } from "./errors.ts";

const GOOD = {
  NATS_URL: "nats://127.0.0.1:4222",
  DATABASE_URL: "postgres://alerts:alerts@127.0.0.1:5439/alerts",
  HTTP_PORT: "8006",
};

Deno.test("loadConfig() gives typed settings and fills in defaults", () => {
  const config = loadConfig(baseConfigSchema.extend({ BATCH: integerSetting(1, 10).default(5) }), GOOD);
  assertEquals(config.HTTP_PORT, 8006);
  assertEquals(config.HTTP_HOST, "127.0.0.1");
  assertEquals(config.LOG_LEVEL, "info");
  assertEquals(config.BATCH, 5);
  assertEquals(/^[0-9a-f]{8}$/.test(config.INSTANCE), true);
});

Deno.test("loadConfig() takes a database behind a socket folder and several NATS addresses", () => {
  const config = loadConfig(baseConfigSchema, {
    ...GOOD,
    NATS_URL: "nats://a:4222,nats://b:4222",
    DATABASE_URL: "postgres://alerts:alerts@/alerts?host=/tmp/sockets&port=5432",
  });
  assertEquals(config.NATS_URL, "nats://a:4222,nats://b:4222");
});

Deno.test("loadConfig() tells every mistake with its value and what is accepted, but no secret", () => {
  const wrong = { NATS_URL: "localhost", DATABASE_URL: "mysql://root:hunter2@db", HTTP_PORT: "80000" };
  const error = assertThrows(
    () => loadConfig(baseConfigSchema, wrong, { service: "alert" }),
    AppError,
    "Cannot start alert: 3 settings are wrong",
  );
  const text = describeConfigError(error);
  assertEquals(text.split("\n").length, 4);
  assertEquals(text.includes('\n  HTTP_PORT is "80000": must be a whole number from 0 to 65535'), true, text);
  assertEquals(text.includes('\n  NATS_URL is "localhost": must be one or more NATS addresses'), true, text);
  assertEquals(text.includes("\n  DATABASE_URL is set (a secret): must be a PostgreSQL address"), true, text);
  assertEquals(text.includes("hunter2"), false);
});

Deno.test("loadConfig() takes an empty variable for an absent one", () => {
  const error = assertThrows(() => loadConfig(baseConfigSchema, { ...GOOD, HTTP_PORT: "" }), AppError);
  assertEquals(error.message, "Cannot start the service: 1 setting is wrong");
  assertEquals(error.reasons, [
    { path: "HTTP_PORT", message: "is not set: must be a whole number from 0 to 65535" },
  ]);
});

Deno.test("loadConfig() reads the process's environment when given none", () => {
  Deno.env.set("MICROML_CONFIG_TEST", "7");
  try {
    assertEquals(loadConfig(z.object({ MICROML_CONFIG_TEST: integerSetting(0, 9) })), {
      MICROML_CONFIG_TEST: 7,
    });
  } finally {
    Deno.env.delete("MICROML_CONFIG_TEST");
  }
});
