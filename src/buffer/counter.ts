import { BusError } from '../protocol/errors.ts';
import { type KeyValue, keyTextOf } from './key-text.ts';
import type { OpenBuffer } from './open-buffer.ts';
import { refusedCall } from './window.ts';

/** What a number takes in an entry, about. */
const NUMBER_BYTES = 4;

/** A counter that is written behind: what is added is gathered by key, acknowledged once it stands in Redis, and flushed into Postgres. */
export class Counter<P extends object = Readonly<Record<string, KeyValue>>> {
  readonly #buffer: OpenBuffer;

  constructor(buffer: OpenBuffer) {
    this.#buffer = buffer;
  }

  /**
   * Adds a whole number to a key's count. Resolves when it is buffered: from then on a crash of this process does not lose it. Rejects with
   * `BUFFER_FULL` where it is not counted, with `BUFFER_UNACKNOWLEDGED` where nobody knows, with `BUFFER_VALUE_INVALID` or `CACHE_CLOSED`. Who does
   * not wait for it may leave the promise alone.
   */
  add(params: P, n = 1): Promise<void> {
    const { config, isClosed } = this.#buffer;
    try {
      if (isClosed()) throw new BusError('CACHE_CLOSED', 'The cache was drained.');
      if (!Number.isSafeInteger(n))
        throw new BusError('BUFFER_VALUE_INVALID', `${config.name}: ${n} is added; a whole number is expected.`);
      const key = keyTextOf(config.name, config.key, params as Readonly<Record<string, unknown>>);
      return this.#buffer.writer.put(key, n, NUMBER_BYTES);
    } catch (error) {
      return refusedCall(error);
    }
  }
}
