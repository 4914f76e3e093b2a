import { BusError } from '../protocol/errors.ts';
import { type BufferStats, type OpenBuffer } from './open-buffer.ts';
import { Counter } from './counter.ts';
import { RowBuffer } from './row-buffer.ts';

/** The buffers of a file in one process, by name. */
export class BufferSet {
  readonly #buffers: ReadonlyMap<string, OpenBuffer>;
  readonly #known: ReadonlyMap<string, { readonly kind: string }>;

  /** `known` are all buffers of the file, also where this process opens none. */
  constructor(buffers: ReadonlyMap<string, OpenBuffer>, known: ReadonlyMap<string, { readonly kind: string }>) {
    this.#buffers = buffers;
    this.#known = known;
  }

  /** Throws `BUFFER_UNKNOWN`. */
  counter<P extends object>(name: string): Counter<P> {
    return new Counter<P>(this.#open(name, 'counter'));
  }

  /** Throws `BUFFER_UNKNOWN`. */
  buffer<P extends object, R extends object>(name: string): RowBuffer<P, R> {
    return new RowBuffer<P, R>(this.#open(name, 'buffer'));
  }

  stats(): Readonly<Record<string, BufferStats>> {
    return Object.fromEntries([...this.#buffers].map(([name, buffer]) => [name, buffer.stats()]));
  }

  async drain(late: AbortSignal): Promise<void> {
    await Promise.all([...this.#buffers.values()].map((buffer) => buffer.drain(late)));
  }

  #open(name: string, kind: 'counter' | 'buffer'): OpenBuffer {
    const known = this.#known.get(name);
    const names = [...this.#known].filter(([, one]) => one.kind === kind).map(([other]) => other);
    if (known?.kind !== kind)
      throw new BusError(
        'BUFFER_UNKNOWN',
        `The file has no buffer "${name}" of kind ${kind}; it has: ${names.join(', ') || 'none'}.`,
      );
    const open = this.#buffers.get(name);
    if (open === undefined)
      throw new BusError(
        'BUFFER_UNKNOWN',
        'Buffers are off in this process: the cache was made with `buffers: "off"`.',
      );
    return open;
  }
}
