import type { BufferSink, SinkAnswer } from '../../buffer/buffer-sink.ts';
import type { BufferValue } from '../../buffer/entry.ts';
import type { FlushedWriters } from '../../buffer/flush-plan.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import { sqlStateOf } from '../../protocol/sqlstate.ts';
import { BUFFER_TABLES, BUFFER_TABLES_FOUND, FLUSHED_TABLE, REFUSED_TABLE } from './buffer-tables.ts';
import { arrayLiteral, batchStatement, type ColumnTypes } from './buffer-statement.ts';

/** One statement of a transaction; its rows, with every column as text. */
export type SqlStatement = (
  text: string,
  values: readonly string[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Runs a body in one READ COMMITTED transaction of some session, and commits. Rejects with a coded error. */
export type SqlTransaction = <T>(body: (sql: SqlStatement) => Promise<T>) => Promise<T>;

/**
 * A flusher that stands still inside its transaction holds its partition for no longer than this. What the session has of asynchronous commits is
 * turned off: an entry is removed from Redis once COMMIT is answered, so it must not be lost with the server after it.
 */
const SESSION = `SELECT set_config('idle_in_transaction_session_timeout', '30s', true),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`;

const LOCK = `SELECT writers::text AS writers FROM ${FLUSHED_TABLE} WHERE bus = $1 AND buffer = $2 AND partition = $3::int FOR UPDATE`;

export interface BufferSinkOptions {
  readonly bus: string;
  readonly config: BufferConfig;
  /** How the text of a key is taken apart. */
  readonly keyColumns: (text: string) => readonly string[];
}

type Row = readonly [key: string, value: BufferValue];

/** Writes a buffer's batches by SQL, over any session that can run a transaction: it does not know whether a pool or a connection is behind it. */
export class PostgresBufferSink implements BufferSink {
  readonly #transaction: SqlTransaction;
  readonly #options: BufferSinkOptions;
  #isPrepared = false;
  #statement: string | undefined;

  constructor(transaction: SqlTransaction, options: BufferSinkOptions) {
    this.#transaction = transaction;
    this.#options = options;
  }

  async write(partition: number, plan: Parameters<BufferSink['write']>[1], waits: boolean): Promise<SinkAnswer> {
    if (!this.#isPrepared) await this.#prepare();
    const { bus, config } = this.#options;
    const place = [bus, config.name, String(partition)];
    try {
      return await this.#transaction(async (sql): Promise<SinkAnswer> => {
        await sql(SESSION, []);
        const [row] = await sql(waits ? LOCK : `${LOCK} SKIP LOCKED`, place);
        if (row === undefined) {
          // Locked, or gone: whoever emptied the table has the rows made anew.
          this.#isPrepared = false;
          return { kind: 'busy' };
        }
        const made = plan(readWriters(String(row['writers'])));
        if (made === undefined) return { kind: 'declined' };
        const counts = { refused: 0, changed: 0 };
        if (made.rows.size > 0) await this.#apply(sql, [...made.rows], counts);
        for (const data of made.unreadable) await this.#refuse(sql, '', data, undefined, 'The entry cannot be read.');
        if (made.fresh > 0)
          await sql(
            `UPDATE ${FLUSHED_TABLE} SET writers = $4::jsonb, flushed_at = clock_timestamp() WHERE bus = $1 AND buffer = $2 AND partition = $3::int`,
            [...place, printWriters(made.flushed)],
          );
        const isCounted = config.target.kind === 'table' && !config.target.makesRows;
        const unmatched = isCounted ? made.rows.size - counts.refused - counts.changed : 0;
        return { kind: 'written', plan: made, refused: counts.refused, unmatched: Math.max(0, unmatched) };
      });
    } catch (error) {
      // A column may have another type by now.
      this.#statement = undefined;
      throw error;
    }
  }

  /** Makes the tables where they are not there, and the row of each partition. Two that do so at once may get in each other's way: the caller tries again. */
  async #prepare(): Promise<void> {
    const { bus, config } = this.#options;
    await this.#transaction(async (sql) => {
      const [found] = await sql(BUFFER_TABLES_FOUND, []);
      if (found?.['found'] !== 'true') for (const table of BUFFER_TABLES) await sql(table, []);
      await sql(
        `INSERT INTO ${FLUSHED_TABLE} (bus, buffer, partition) SELECT $1, $2, p FROM generate_series(0, $3::int - 1) p ON CONFLICT DO NOTHING`,
        [bus, config.name, String(config.partitions)],
      );
    });
    this.#isPrepared = true;
  }

  /** All at once; where the database refuses the data, in halves, so that one row that it cannot take does not hold up the others for ever. */
  async #apply(sql: SqlStatement, rows: readonly Row[], counts: { refused: number; changed: number }): Promise<void> {
    const statement = (this.#statement ??= batchStatement(this.#options.config, await this.#types(sql)));
    await sql('SAVEPOINT batch', []);
    try {
      const [row] = await sql(statement, this.#arrays(rows));
      counts.changed += Number(row?.['changed'] ?? 0);
      await sql('RELEASE SAVEPOINT batch', []);
      return;
    } catch (error) {
      if (!isOfData(error)) throw error;
      await sql('ROLLBACK TO SAVEPOINT batch', []);
      await sql('RELEASE SAVEPOINT batch', []);
      const [only] = rows;
      if (rows.length === 1 && only !== undefined) {
        counts.refused += 1;
        const value = Array.isArray(only[1]) ? JSON.stringify(only[1]) : String(only[1]);
        await this.#refuse(sql, only[0], value, stateOf(error), (error as Error).message);
        return;
      }
    }
    const half = rows.length >> 1;
    await this.#apply(sql, rows.slice(0, half), counts);
    await this.#apply(sql, rows.slice(half), counts);
  }

  async #refuse(
    sql: SqlStatement,
    key: string,
    value: string,
    state: string | undefined,
    message: string,
  ): Promise<void> {
    const { bus, config } = this.#options;
    await sql(
      `INSERT INTO ${REFUSED_TABLE} (bus, buffer, key, value, sqlstate, message) VALUES ($1, $2, $3, $4, $5, $6)`,
      [bus, config.name, key, value.replaceAll('\0', ''), state ?? '', message],
    );
  }

  #arrays(rows: readonly Row[]): string[] {
    const { config, keyColumns } = this.#options;
    const width = config.kind === 'counter' ? 1 : config.columns.length;
    const columns: (string | null)[][] = Array.from({ length: config.key.length + width }, () => []);
    for (const [key, value] of rows) {
      const values = typeof value === 'object' ? value : [String(value)];
      [...keyColumns(key), ...values].forEach((one, i) => columns[i]?.push(one));
    }
    return columns.map(arrayLiteral);
  }

  async #types(sql: SqlStatement): Promise<ColumnTypes> {
    const { target, key, columns, kind } = this.#options.config;
    if (target.kind === 'statement') return new Map();
    const { schema, name } = target.table;
    const rows = await sql(
      `SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`,
      [schema, name],
    );
    const types = new Map(rows.map((row) => [String(row['name']), String(row['type'])]));
    const missing = [...key, ...(kind === 'counter' ? [target.column] : columns)].filter(
      (column) => !types.has(column),
    );
    if (missing.length === 0) return types;
    const why = rows.length === 0 ? 'does not exist, or may not be seen' : `has no column ${missing.join(', ')}`;
    throw new BusError('CONFIG_INVALID', `buffers.${this.#options.config.name}: the table ${schema}.${name} ${why}.`);
  }
}

function readWriters(text: string): FlushedWriters {
  const stored = JSON.parse(text) as Readonly<Record<string, readonly [seq: number, atSeconds: number]>>;
  return new Map(Object.entries(stored).map(([writer, [seq, atSeconds]]) => [writer, { seq, atSeconds }]));
}

function printWriters(writers: FlushedWriters): string {
  return JSON.stringify(Object.fromEntries([...writers].map(([name, { seq, atSeconds }]) => [name, [seq, atSeconds]])));
}

/** SQLSTATEs of classes 22 (data) and 23 (integrity), and what a trigger raises: the row is at fault, and will be the next time. */
function isOfData(error: unknown): boolean {
  return /^(?:2[23]|P0001)/.test(stateOf(error) ?? '');
}

function stateOf(error: unknown): string | undefined {
  return sqlStateOf(error instanceof BusError ? error.cause : error);
}
