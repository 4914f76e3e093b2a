import { BusError } from '../protocol/errors.ts';
import { type KeyValue, keyTextOf, rowOf, type RowValue } from './key-text.ts';
import type { OpenBuffer } from './open-buffer.ts';
import { refusedCall } from './window.ts';

/** Rows that are written behind: the last one of each key is gathered, acknowledged once it stands in Redis, and flushed into Postgres. */
export class RowBuffer<
  P extends object = Readonly<Record<string, KeyValue>>,
  R extends object = Readonly<Record<string, RowValue>>,
> {
  readonly #buffer: OpenBuffer;

  constructor(buffer: OpenBuffer) {
    this.#buffer = buffer;
  }

  /** Puts a key's row: every column that the file names. Of one process, the last call wins. Resolves and rejects as `Counter.add` does. */
  put(params: P, row: R): Promise<void> {
    const { config, isClosed } = this.#buffer;
    try {
      if (isClosed()) throw new BusError('CACHE_CLOSED', 'The cache was drained.');
      const key = keyTextOf(config.name, config.key, params as Readonly<Record<string, unknown>>);
      const values = rowOf(config.name, config.columns, row as Readonly<Record<string, unknown>>);
      const bytes = values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
      return this.#buffer.writer.put(key, values, bytes);
    } catch (error) {
      return refusedCall(error);
    }
  }
}
