import type { StoredEntry } from './buffer-log.ts';
import { planFlush } from './flush-plan.ts';
import type { LanePorts } from './lane.ts';

/**
 *   written   the callers are told that it is there
 *   refused   it is not, and will not be
 *   unknown   it may be, or come to be
 */
export type ThroughAnswer =
  | { readonly kind: 'written' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown'; readonly error: unknown };

/** Writes windows past the log, by an identity of their own, so that what stands in the log is not taken for written. */
export class WritingThrough {
  readonly #partition: number;
  readonly #ports: LanePorts;
  #seq = 0;

  constructor(partition: number, ports: LanePorts) {
    this.#partition = partition;
    this.#ports = ports;
  }

  next(of: Pick<StoredEntry, 'shape' | 'data' | 'keys'>): StoredEntry {
    return { ...of, writer: `${this.#ports.writer}-through`, seq: ++this.#seq, place: undefined };
  }

  /**
   * One try. Sums may overtake each other; a row waits until all that this process has put into the log before it, up to `landedSeq`, is in Postgres.
   * `untilMs`: when it is waited for no longer.
   */
  async write(entry: StoredEntry, landedSeq: number, untilMs: number): Promise<ThroughAnswer> {
    const { sink, config, writer, fold } = this.#ports;
    const isOrdered = config.kind === 'buffer';
    if (sink === undefined) return { kind: 'refused' };
    try {
      const writing = sink.write(
        this.#partition,
        (flushed, nowSeconds) =>
          isOrdered && (flushed.get(writer)?.seq ?? 0) < landedSeq
            ? undefined
            : planFlush([entry], flushed, fold, nowSeconds),
        true,
      );
      const { kind } = await this.#unlessLate(writing, untilMs);
      return { kind: kind === 'written' ? 'written' : 'refused' };
    } catch (error) {
      return { kind: 'unknown', error };
    }
  }

  /** Rejects when a drain, or the calls, wait no longer: a database that hangs may write it yet. */
  async #unlessLate<T>(work: Promise<T>, untilMs: number): Promise<T> {
    const { clock, closing } = this.#ports;
    const ended = new AbortController();
    const waitMs = Math.max(0, untilMs - clock.monotonicMs());
    const late = clock.sleep(waitMs, AbortSignal.any([closing, ended.signal])).then((): never => {
      throw new Error('Postgres has not answered in time.');
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      for (const one of [work, late]) one.catch(() => undefined);
      ended.abort();
    }
  }
}
