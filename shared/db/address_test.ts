import { assertEquals, assertFalse, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { describeAddress, parseDatabaseUrl } from "./address.ts";

Deno.test("parseDatabaseUrl() reads a TCP address", () => {
  assertEquals(parseDatabaseUrl("postgres://alerts:a%2Fb@db.example:5439/alerts"), {
    host: "db.example",
    port: 5439,
    database: "alerts",
    user: "alerts",
    password: "a/b",
  });
});

Deno.test("parseDatabaseUrl() takes port 5432 when none is named, and IPv6 without brackets", () => {
  const { host, port } = parseDatabaseUrl("postgresql://r:p@[::1]/d");
  assertEquals({ host, port }, { host: "::1", port: 5432 });
});

Deno.test("parseDatabaseUrl() reads a unix socket's folder", () => {
  assertEquals(parseDatabaseUrl("postgres://alerts:secret@/alerts?host=/run/pg%20a&port=5542"), {
    host: "/run/pg a",
    port: 5542,
    database: "alerts",
    user: "alerts",
    password: "secret",
  });
});

Deno.test("parseDatabaseUrl() refuses what lacks a role, a host or a database, or has what it does not know", () => {
  for (
    const url of [
      "mysql://r:secret@h/d",
      "postgres://h/d",
      "postgres://r:secret@h",
      "postgres://r:secret@/d",
      "postgres://r:secret@h:port/d",
      "postgres://r:secret@h/d?sslmode=require",
    ]
  ) {
    const error = assertThrows(() => parseDatabaseUrl(url), AppError, "Cannot read the database URL");
    assertEquals(error.code, "invalid");
    assertFalse(error.message.includes("secret"), error.message);
  }
});

Deno.test("describeAddress() shows no password", () => {
  assertEquals(describeAddress(parseDatabaseUrl("postgres://r:secret@h:1/d")), "r@h:1/d");
});
