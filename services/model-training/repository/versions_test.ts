import { assert, assertEquals, assertLess } from "@std/assert";
import { connectDatabase, type Database } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { listVersions, type VersionPage, versionsOfPage } from "./versions.ts";

const VERSIONS = 10_000;
const model = "many";

/** Versions by the thousand; one in a hundred has the tag `rare`, each the tag `common`. */
async function fill(db: Database): Promise<void> {
  await db`insert into models (name, versions) values (${model}, ${VERSIONS})`;
  await db`insert into model_files (sha256, onnx) values ('a', '')`;
  await db`
    insert into runs (id, project, kind, model, algorithm, status, stage, actor, reason, version, finished_at)
    select md5(n::text)::uuid, 'shop', 'imported', ${model}, 'prior', 'done', 'done', 'ada', '', n, now()
    from generate_series(1, ${VERSIONS}::int) n`;
  await db`
    insert into versions (model, version, project, run, origin, algorithm, sha256, bytes, signature, reference_bins, actor)
    select ${model}, n, 'shop', md5(n::text)::uuid, 'imported', 'prior', 'a', 0, '{}', '[]', 'ada'
    from generate_series(1, ${VERSIONS}::int) n`;
  await db`
    insert into version_tags (model, version, key, value)
    select ${model}, n, 'common', 'yes' from generate_series(1, ${VERSIONS}::int) n`;
  await db`
    insert into version_tags (model, version, key, value)
    select ${model}, n, 'rare', 'yes' from generate_series(100, ${VERSIONS}::int, 100) n`;
  await db`analyze`;
}

/** Pages of the database that a statement touches. */
async function pagesOf(db: Database, page: VersionPage): Promise<number> {
  const [row] = await db<{ "QUERY PLAN": { Plan: Record<string, number> }[] }[]>`
    explain (analyze, buffers, format json) ${versionsOfPage(db, page)}`;
  const { Plan: plan } = row!["QUERY PLAN"][0]!;
  return plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!;
}

Deno.test("listVersions() costs a page of 10,000 versions no more than the page", async () => {
  await using database = await createTestDatabase("model-training");
  const db = connectDatabase({ url: database.url, log: silentLogger, max: 1 });
  try {
    await fill(db);
    const pages: VersionPage[] = [
      { model, limit: 50 },
      { model, limit: 50, before: 5_000 },
      { model, limit: 50, before: 60 },
      { model, limit: 50, tag: "common" },
      { model, limit: 50, tag: "rare" },
      { model, limit: 50, tag: "rare=yes", before: 5_050 },
      { model, limit: 50, tag: "rare=no" },
    ];
    for (const page of pages) {
      const touched = await pagesOf(db, page);
      // The table has hundreds of pages; a page of the list is in a handful of its index.
      assertLess(touched, 80, `${JSON.stringify(page)} touches ${touched} pages`);
    }
    const [{ total } = { total: 0 }] = await db<{ total: number }[]>`
      select pg_relation_size('versions') / 8192 as total`;
    assert(total > 100, `the versions fill ${total} pages`);

    const seen: number[] = [];
    let page = await listVersions(db, { model, tag: "rare", limit: 30 });
    while (page.length > 30) {
      const shown = page.slice(0, 30).map(({ version }) => version);
      seen.push(...shown);
      page = await listVersions(db, { model, tag: "rare", limit: 30, before: shown[29]! });
    }
    seen.push(...page.map(({ version }) => version));
    assertEquals(seen, Array.from({ length: 100 }, (_, index) => VERSIONS - index * 100));
  } finally {
    await db.end();
  }
});
