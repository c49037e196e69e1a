import { assertEquals } from "@std/assert";
import { debianMirror } from "./nats_packages.ts";

Deno.test("debianMirror() finds the mirror in the one-line format", () => {
  const sources = `
    # deb http://old.example.org/debian bookworm main
    deb https://packages.example.com/apt stable main
    deb http://security.debian.org/debian-security bookworm-security main
    deb [arch=amd64] http://mirror.example.org/debian/ bookworm main`;
  assertEquals(debianMirror(sources), "http://mirror.example.org/debian");
});

Deno.test("debianMirror() finds the mirror in the deb822 format", () => {
  const sources = `Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://mirror.example.org/pub/debian
Suites: bookworm bookworm-updates

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security`;
  assertEquals(debianMirror(sources), "http://mirror.example.org/pub/debian");
});

Deno.test("debianMirror() finds none where no source is Debian's own", () => {
  assertEquals(debianMirror("deb http://archive.ubuntu.com/ubuntu noble main"), undefined);
  assertEquals(debianMirror(""), undefined);
});
