import type { BufferSink, SinkAnswer } from '../../buffer/buffer-sink.ts';
import type { BufferValue } from '../../buffer/entry.ts';
import type { FlushedWriters } from '../../buffer/flush-plan.ts';
import type { Shape } from '../../buffer/shape.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import { answeredSqlState } from '../../protocol/sqlstate.ts';
import { BUFFER_TABLES, BUFFER_TABLES_FOUND, FLUSHED_TABLE, REFUSED_TABLE } from './buffer-tables.ts';
import { quoteIdentifier, quoteTable } from './sql-text.ts';
import { readColumnTypes } from './buffer-columns.ts';
import { arrayLiteral, batchStatement } from './buffer-statement.ts';
import { isRowFault, isColumnFault } from './row-fault.ts';

/** One statement of a transaction; its rows, with every column as text. */
export type SqlStatement = (
  text: string,
  values: readonly string[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Runs a body in one READ COMMITTED transaction of some session, and commits. Rejects with a coded error. */
export type SqlTransaction = <T>(body: (sql: SqlStatement) => Promise<T>) => Promise<T>;

/**
 * A flusher that stands still inside its transaction holds its partition for no longer than this, and one that waits for somebody's lock lets the other
 * partitions have their turn. What the session has of asynchronous commits is
 * turned off: an entry is removed from Redis once COMMIT is answered, so it must not be lost with the server after it.
 */
const SESSION = `SELECT set_config('idle_in_transaction_session_timeout', '30s', true),
  set_config('lock_timeout', '5s', true),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`;

/** What is checked at COMMIT only would be refused for all rows at once, and the next time again. */
const CHECK_AT_ONCE = 'SET CONSTRAINTS ALL IMMEDIATE';

const LOCK = `SELECT writers::text AS writers, extract(epoch FROM clock_timestamp())::bigint::text AS now FROM ${FLUSHED_TABLE} WHERE bus = $1 AND buffer = $2 AND partition = $3::int FOR UPDATE`;

export interface BufferSinkOptions {
  readonly bus: string;
  readonly config: BufferConfig;
  /** How the text of a key of so many columns is taken apart. Throws where it is none. */
  readonly keyColumns: (text: string, columns: number) => readonly string[];
}

type Row = readonly [key: string, value: BufferValue];

/** What a write is about: the rows' columns, which are mostly the file's, and what has become of the rows. */
interface Batch {
  readonly config: BufferConfig;
  readonly isForeign: boolean;
  refused: number;
  changed: number;
}

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

  /**
   * Whether its batches can be written at all, asked before anything is acknowledged: the statement itself is planned, with no rows, so that nothing which
   * would keep it from being run is missed: a column, its type, the unique index, a permission. Changes nothing. Throws `CONFIG_INVALID`, or a coded error of Postgres.
   */
  async check(): Promise<void> {
    const { config } = this.#options;
    await this.#transaction(async (sql) => {
      const statement = batchStatement(config, await readColumnTypes(sql, config));
      const batch = batchOf(config, undefined);
      try {
        await sql(`EXPLAIN ${statement}`, this.#arrays([], batch));
      } catch (error) {
        if (!/^42(?!501)|^0A/.test(answeredSqlState(error) ?? '')) throw error;
        throw new BusError(
          'CONFIG_INVALID',
          `buffers.${config.name}: ${(error as Error).message}${repairOf(config, error)}`,
          {
            cause: error,
          },
        );
      }
    });
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
        const made = plan(readWriters(String(row['writers'])), Number(row['now']));
        if (made === undefined) return { kind: 'declined' };
        const batch = batchOf(config, made.shape);
        await sql(CHECK_AT_ONCE, []);
        const rows = await this.#wellFormed(sql, [...made.rows], batch);
        if (rows.length > 0) await this.#apply(sql, rows, batch);
        for (const data of made.unreadable)
          await this.#refuse(sql, '', data, undefined, 'The entry cannot be read, or is of the other kind.');
        if (made.fresh > 0)
          await sql(
            `UPDATE ${FLUSHED_TABLE} SET writers = $4::jsonb, flushed_at = clock_timestamp() WHERE bus = $1 AND buffer = $2 AND partition = $3::int`,
            [...place, printWriters(made.flushed)],
          );
        const isCounted = config.target.kind === 'table' && !config.target.makesRows;
        const unmatched = isCounted ? made.rows.size - batch.refused - batch.changed : 0;
        return { kind: 'written', plan: made, refused: batch.refused, unmatched: Math.max(0, unmatched) };
      });
    } catch (error) {
      // A column may have another type by now, and a table may be gone.
      this.#statement = undefined;
      this.#isPrepared = false;
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

  /** Whoever else writes into the stream may have put there what is no row. */
  async #wellFormed(sql: SqlStatement, rows: readonly Row[], batch: Batch): Promise<readonly Row[]> {
    const good: Row[] = [];
    for (const row of rows)
      if (this.#isWellFormed(row, batch)) good.push(row);
      else await this.#setAside(sql, row, batch, undefined, 'The entry has other columns than it says.');
    return good;
  }

  #isWellFormed([key, value]: Row, { config }: Batch): boolean {
    if (typeof value === 'object' ? value.length !== config.columns.length : config.kind !== 'counter') return false;
    try {
      const columns: unknown = this.#options.keyColumns(key, config.key.length);
      return Array.isArray(columns) && columns.length === config.key.length;
    } catch {
      return false;
    }
  }

  /** All at once; where the database refuses the data, in halves, so that one row that it cannot take does not hold up the others for ever. */
  async #apply(sql: SqlStatement, rows: readonly Row[], batch: Batch): Promise<void> {
    let statement: string;
    try {
      statement = await this.#statementOf(sql, batch);
    } catch (error) {
      if (!batch.isForeign || !isBusError(error, 'CONFIG_INVALID')) throw error;
      for (const row of rows) await this.#setAside(sql, row, batch, undefined, error.message);
      return;
    }
    await sql('SAVEPOINT batch', []);
    try {
      const [row] = await sql(statement, this.#arrays(rows, batch));
      batch.changed += Number(row?.['changed'] ?? 0);
      await sql('RELEASE SAVEPOINT batch', []);
      return;
    } catch (error) {
      // Columns that are no longer the file's may be written no longer; what the file says must be mended in the file.
      if (!isRowFault(error) && !(batch.isForeign && isColumnFault(error))) throw error;
      await sql('ROLLBACK TO SAVEPOINT batch', []);
      await sql('RELEASE SAVEPOINT batch', []);
      const [only] = rows;
      if (rows.length === 1 && only !== undefined)
        return this.#setAside(sql, only, batch, answeredSqlState(error), (error as Error).message);
    }
    const half = rows.length >> 1;
    await this.#apply(sql, rows.slice(0, half), batch);
    await this.#apply(sql, rows.slice(half), batch);
  }

  async #statementOf(sql: SqlStatement, { config, isForeign }: Batch): Promise<string> {
    if (isForeign) return batchStatement(config, await readColumnTypes(sql, config));
    return (this.#statement ??= batchStatement(config, await readColumnTypes(sql, config)));
  }

  async #setAside(
    sql: SqlStatement,
    [key, value]: Row,
    batch: Batch,
    state: string | undefined,
    why: string,
  ): Promise<void> {
    batch.refused += 1;
    await this.#refuse(sql, key, typeof value === 'object' ? JSON.stringify(value) : String(value), state, why);
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
      [bus, config.name, withoutNul(key), withoutNul(value), state ?? '', message],
    );
  }

  #arrays(rows: readonly Row[], { config }: Batch): string[] {
    const { keyColumns } = this.#options;
    const width = config.kind === 'counter' ? 1 : config.columns.length;
    const columns: (string | null)[][] = Array.from({ length: config.key.length + width }, () => []);
    for (const [key, value] of rows) {
      const values = typeof value === 'object' ? value : [String(value)];
      [...keyColumns(key, config.key.length), ...values].forEach((one, i) => columns[i]?.push(one));
    }
    return columns.map(arrayLiteral);
  }
}

function readWriters(text: string): FlushedWriters {
  const stored = JSON.parse(text) as Readonly<Record<string, readonly [seq: number, atSeconds: number]>>;
  return new Map(Object.entries(stored).map(([writer, [seq, atSeconds]]) => [writer, { seq, atSeconds }]));
}

function printWriters(writers: FlushedWriters): string {
  return JSON.stringify(Object.fromEntries([...writers].map(([name, { seq, atSeconds }]) => [name, [seq, atSeconds]])));
}

/** Postgres has no text with a NUL character. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '');
}

function batchOf(config: BufferConfig, shape: Shape | undefined): Batch {
  const { key, columns } = shape ?? config;
  return { config: { ...config, key, columns }, isForeign: shape !== undefined, refused: 0, changed: 0 };
}

/** Of a conflict that no unique index tells (42P10). */
function repairOf({ target, key }: BufferConfig, error: unknown): string {
  if (target.kind === 'statement' || answeredSqlState(error) !== '42P10') return '';
  return `. CREATE UNIQUE INDEX CONCURRENTLY ON ${quoteTable(target.table)} (${key.map(quoteIdentifier).join(', ')}) makes one; or rows: existing`;
}
