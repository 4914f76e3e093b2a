import type { BufferConfig } from '../config/bus-config.ts';
import type { Clock } from '../runtime/clock.ts';
import type { BufferDepth, BufferLog } from './buffer-log.ts';
import { alarmMs, LossAlarm } from './loss.ts';
import type { BufferObserver } from './observe.ts';

const LOOK_EVERY_MS = 1000;

/** Looks at how much a buffer holds and how old it is, and raises the alarm when what may be lost is more than was named. */
export class BufferWatch {
  readonly #log: Pick<BufferLog, 'depth'>;
  readonly #observer: Pick<BufferObserver, 'depth' | 'behind' | 'failed'>;
  readonly #unflushed: LossAlarm;
  readonly #unacknowledged: LossAlarm;
  readonly #waiting = new Map<number, number>();
  #seen: { readonly depth: BufferDepth; readonly atMs: number } | undefined;

  constructor(
    log: Pick<BufferLog, 'depth'>,
    config: BufferConfig,
    observer: Pick<BufferObserver, 'depth' | 'behind' | 'failed'>,
  ) {
    this.#log = log;
    this.#observer = observer;
    this.#unflushed = new LossAlarm(alarmMs(config));
    this.#unacknowledged = new LossAlarm(config.loss.processMs);
  }

  /** What was last seen. */
  get depth(): BufferDepth | undefined {
    return this.#seen?.depth;
  }

  /** Whether more may be lost than was named. */
  get isBehind(): boolean {
    return this.#unflushed.isRaised || this.#unacknowledged.isRaised;
  }

  /** Of this process: a window of a partition that is past its time and not acknowledged. Another partition's acknowledgement does not end it. */
  waiting(partition: number, ageMs: number): void {
    if (ageMs > 0) this.#waiting.set(partition, ageMs);
    else this.#waiting.delete(partition);
    const oldestMs = Math.max(0, ...this.#waiting.values());
    const told = this.#unacknowledged.note(oldestMs);
    if (told !== undefined) this.#observer.behind('unacknowledged', told, oldestMs);
  }

  async run(clock: Clock, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.look(clock);
      await clock.sleep(LOOK_EVERY_MS, stop);
    }
  }

  async look(clock: Clock): Promise<void> {
    try {
      const depth = await this.#log.depth();
      this.#seen = { depth, atMs: clock.monotonicMs() };
      this.#observer.depth(depth);
      this.#note(depth.oldestMs);
    } catch (error) {
      this.#observer.failed('depth', error);
      // What cannot be looked at gets older all the same.
      if (this.#seen !== undefined && this.#seen.depth.entries > 0)
        this.#note(this.#seen.depth.oldestMs + clock.monotonicMs() - this.#seen.atMs);
    }
  }

  #note(ageMs: number): void {
    const told = this.#unflushed.note(ageMs);
    if (told !== undefined) this.#observer.behind('unflushed', told, ageMs);
  }
}
