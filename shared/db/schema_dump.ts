/**
 * The schema of a database as SQL that people can read and compare, written from PostgreSQL's own catalog (pg_dump is
 * not part of every installation). The same migrations give the same text, byte for byte.
 *
 * It shows tables, indexes, views, types, sequences, functions, triggers and extensions. It is no backup: it holds
 * no rows, owners or privileges.
 *
 * @module
 */
import type { Queryable } from "./connection.ts";

/** Where node-pg-migrate remembers what it ran: not part of what migrations make. */
const BOOKKEEPING = ["migrations", "migrations_common"];

/** Objects of ours: not PostgreSQL's own, and not those that an extension brought. */
const own = (db: Queryable, catalog: "pg_class" | "pg_type" | "pg_proc", oid: string, schema: string) =>
  db`
    ${
    db(schema)
  } not in (select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema')
    and not exists (
      select from pg_depend
      where classid = ${catalog}::regclass and objid = ${db(oid)} and deptype = 'e'
    )`;

/** The schema in the order in which it could be made, in groups ordered by name. */
export async function dumpSchema(db: Queryable): Promise<string> {
  const groups = [
    await dumpExtensions(db),
    await dumpTypes(db),
    await dumpSequences(db),
    await dumpFunctions(db),
    await dumpTables(db),
    await dumpViews(db),
    await dumpTriggers(db),
  ];
  return `${groups.flat().join("\n\n")}\n`;
}

type Statement = { statement: string };

async function dumpExtensions(db: Queryable): Promise<string[]> {
  const rows = await db<{ name: string }[]>`
    select extname as name from pg_extension where extname <> 'plpgsql' order by extname`;
  return rows.map(({ name }) => `CREATE EXTENSION ${name};`);
}

async function dumpTypes(db: Queryable): Promise<string[]> {
  const enums = await db<Statement[]>`
    select format(
      'CREATE TYPE %s AS ENUM (%s);',
      t.oid::regtype,
      (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
       from pg_enum where enumtypid = t.oid)
    ) as statement
    from pg_type as t
    where typtype = 'e' and ${own(db, "pg_type", "t.oid", "t.typnamespace")}
    order by t.oid::regtype::text collate "C"`;
  const domains = await db<Statement[]>`
    select concat(
      format('CREATE DOMAIN %s AS %s', t.oid::regtype, format_type(typbasetype, typtypmod)),
      ' DEFAULT ' || typdefault,
      case when typnotnull then ' NOT NULL' end,
      (select string_agg(' ' || pg_get_constraintdef(oid, true), '' order by conname collate "C")
       from pg_constraint where contypid = t.oid and contype = 'c'),
      ';'
    ) as statement
    from pg_type as t
    where typtype = 'd' and ${own(db, "pg_type", "t.oid", "t.typnamespace")}
    order by t.oid::regtype::text collate "C"`;
  return [...enums, ...domains].map(({ statement }) => statement);
}

/** Those that belong to no column: a serial or identity column shows its own. */
async function dumpSequences(db: Queryable): Promise<string[]> {
  const rows = await db<Statement[]>`
    select format('CREATE SEQUENCE %s;', c.oid::regclass) as statement
    from pg_class as c
    where relkind = 'S'
      and ${own(db, "pg_class", "c.oid", "c.relnamespace")}
      and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = c.oid and deptype in ('a', 'i')
      )
    order by c.oid::regclass::text collate "C"`;
  return rows.map(({ statement }) => statement);
}

async function dumpFunctions(db: Queryable): Promise<string[]> {
  const rows = await db<Statement[]>`
    select pg_get_functiondef(p.oid) as statement
    from pg_proc as p
    where prokind in ('f', 'p') and ${own(db, "pg_proc", "p.oid", "p.pronamespace")}
    order by p.oid::regprocedure::text collate "C"`;
  return rows.map(({ statement }) => `${statement.trimEnd()};`);
}

interface Table {
  oid: number;
  name: string;
  unlogged: boolean;
  partitionKey: string | null;
  /** Of a partition: the table it is part of, and for which rows. */
  parent: string | null;
  bound: string | null;
}

async function dumpTables(db: Queryable): Promise<string[]> {
  const tables = await db<Table[]>`
    select c.oid::int8 as oid, c.oid::regclass::text as name, relpersistence = 'u' as unlogged,
      pg_get_partkeydef(c.oid) as "partitionKey",
      (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid) as parent,
      pg_get_expr(relpartbound, c.oid) as bound
    from pg_class as c
    where relkind in ('r', 'p')
      and relname <> all (${BOOKKEEPING})
      and ${own(db, "pg_class", "c.oid", "c.relnamespace")}
    -- A partition after its table.
    order by relispartition, c.oid::regclass::text collate "C"`;
  const statements: string[] = [];
  for (const table of tables) {
    statements.push([await dumpTable(db, table), ...await dumpIndexes(db, table.oid)].join("\n"));
  }
  return statements;
}

async function dumpTable(db: Queryable, table: Table): Promise<string> {
  if (table.bound !== null) return `CREATE TABLE ${table.name} PARTITION OF ${table.parent} ${table.bound};`;
  const parts = [...await dumpColumns(db, table.oid), ...await dumpConstraints(db, table.oid)];
  const body = parts.map((part) => `  ${part}`).join(",\n");
  const partitioned = table.partitionKey === null ? "" : ` PARTITION BY ${table.partitionKey}`;
  return `CREATE ${table.unlogged ? "UNLOGGED " : ""}TABLE ${table.name} (\n${body}\n)${partitioned};`;
}

async function dumpColumns(db: Queryable, table: number): Promise<string[]> {
  const columns = await db<{ definition: string }[]>`
    select concat(
      quote_ident(attname), ' ', format_type(atttypid, atttypmod),
      case attidentity when 'a' then ' GENERATED ALWAYS AS IDENTITY' when 'd' then ' GENERATED BY DEFAULT AS IDENTITY' end,
      case attgenerated
        when '' then ' DEFAULT ' || pg_get_expr(adbin, adrelid)
        when 's' then format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(adbin, adrelid))
        else format(' GENERATED ALWAYS AS (%s) VIRTUAL', pg_get_expr(adbin, adrelid))
      end,
      case when attnotnull then ' NOT NULL' end
    ) as definition
    from pg_attribute
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = ${table} and attnum > 0 and not attisdropped
    order by attnum`;
  return columns.map(({ definition }) => definition);
}

/** Primary key first. Later versions of PostgreSQL keep NOT NULL here too, where the column shows it already. */
async function dumpConstraints(db: Queryable, table: number): Promise<string[]> {
  const constraints = await db<{ definition: string }[]>`
    select format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid, true)) as definition
    from pg_constraint
    where conrelid = ${table} and contype in ('p', 'u', 'f', 'c', 'x')
    order by array_position(array['p', 'u', 'f', 'c', 'x'], contype::text), conname collate "C"`;
  return constraints.map(({ definition }) => definition);
}

/** Those that no constraint and no index of a partitioned table brought. */
async function dumpIndexes(db: Queryable, table: number): Promise<string[]> {
  const indexes = await db<Statement[]>`
    select pg_get_indexdef(indexrelid, 0, true) || ';' as statement
    from pg_index
    join pg_class on pg_class.oid = indexrelid
    where indrelid = ${table}
      and not relispartition
      and not exists (select from pg_constraint where conindid = indexrelid and conrelid = ${table})
    order by indexrelid::regclass::text collate "C"`;
  return indexes.map(({ statement }) => statement);
}

/** A view over a single table is written with the table's name before each column by PostgreSQL 15, without by 16. */
async function dumpViews(db: Queryable): Promise<string[]> {
  const rows = await db<Statement[]>`
    select concat(
      'CREATE ', case relkind when 'm' then 'MATERIALIZED ' end, 'VIEW ', c.oid::regclass, E' AS\n',
      pg_get_viewdef(c.oid, true)
    ) as statement
    from pg_class as c
    where relkind in ('v', 'm') and ${own(db, "pg_class", "c.oid", "c.relnamespace")}
    order by c.oid::regclass::text collate "C"`;
  return rows.map(({ statement }) => statement);
}

async function dumpTriggers(db: Queryable): Promise<string[]> {
  const rows = await db<Statement[]>`
    select pg_get_triggerdef(t.oid, true) || ';' as statement
    from pg_trigger as t
    join pg_class as c on c.oid = tgrelid
    where not tgisinternal and tgparentid = 0 and ${own(db, "pg_class", "c.oid", "c.relnamespace")}
    order by c.oid::regclass::text collate "C", tgname collate "C"`;
  return rows.map(({ statement }) => statement);
}
