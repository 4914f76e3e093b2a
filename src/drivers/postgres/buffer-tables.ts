/** Which batches of which writers are in this database: `writers` is `{ writer: [number, seconds] }`. A row is locked by whoever flushes its partition. */
export const FLUSHED_TABLE = 'public.afterwrite_flushed';

/** What the database would not take, with its reason. */
export const REFUSED_TABLE = 'public.afterwrite_refused';

/** Made by `setup`, or by the first that flushes, where its role may. */
export const BUFFER_TABLES: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${FLUSHED_TABLE} (
     bus text NOT NULL, buffer text NOT NULL, partition int NOT NULL,
     writers jsonb NOT NULL DEFAULT '{}', flushed_at timestamptz,
     PRIMARY KEY (bus, buffer, partition))`,
  `CREATE TABLE IF NOT EXISTS ${REFUSED_TABLE} (
     bus text NOT NULL, buffer text NOT NULL, key text NOT NULL, value text,
     sqlstate text, message text NOT NULL, refused_at timestamptz NOT NULL DEFAULT now())`,
];

/** Takes no parameters; one row, with `found` as text. */
export const BUFFER_TABLES_FOUND = `SELECT (to_regclass('${FLUSHED_TABLE}') IS NOT NULL AND to_regclass('${REFUSED_TABLE}') IS NOT NULL)::text AS found`;
