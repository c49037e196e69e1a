import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { SERVICES_WITH_DATABASE } from "./databases.ts";
import { parseCommand } from "./migrate.ts";

const named = (positionals: string[], url?: string) => {
  const { action, services, url: used } = parseCommand(positionals, url);
  return { action, services: services.map(({ name }) => name), url: used };
};

Deno.test("parseCommand() runs all services up by default", () => {
  const all = SERVICES_WITH_DATABASE.map(({ name }) => name);
  assertEquals(named([]), { action: "up", services: all, url: undefined });
  assertEquals(named(["status"], "postgres://r:p@h/d"), { action: "status", services: all, url: undefined });
});

Deno.test("parseCommand() takes services, and another database for one alone", () => {
  assertEquals(named(["alert", "down"], "postgres://r:p@h/d"), {
    action: "down",
    services: ["alert"],
    url: "postgres://r:p@h/d",
  });
  assertEquals(named(["alert", "orchestration"]).services, ["alert", "orchestration"]);
});

Deno.test("parseCommand() refuses what is no service, and undoing everything", () => {
  assertThrows(() => parseCommand(["console"], undefined), AppError, `Cannot migrate "console"`);
  assertThrows(() => parseCommand(["up", "alert"], undefined), AppError, `Cannot migrate "up"`);
  assertThrows(() => parseCommand(["down"], undefined), AppError, "the services must be named");
});
