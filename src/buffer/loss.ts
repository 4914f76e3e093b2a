import type { BufferConfig, BufferLoss } from '../config/bus-config.ts';

/** What a Redis says of how it keeps what it has acknowledged. Undefined where it does not tell. */
export interface Persistence {
  readonly appendonly: string | undefined;
  readonly appendfsync: string | undefined;
  /** `yes`: nothing is synced while the file is rewritten. */
  readonly noFsyncOnRewrite: string | undefined;
}

/**
 * With `everysec` a write waits for a sync that is under way, for two seconds at most, and meanwhile clients are answered (`flushAppendOnlyFile` in
 * aof.c; Sanfilippo, "Redis persistence demystified", 2012).
 */
export const EVERYSEC_LOSS_MS = 2000;

/** Flushes that must fit into a loss where nothing but flushing ends it. */
const FLUSHES = 2;

/** Why a Redis that is kept so cannot keep to the loss that is named; undefined where it can. */
export function lossFault(
  { loss, flushEveryMs }: Pick<BufferConfig, 'loss' | 'flushEveryMs'>,
  kept: Persistence,
): string | undefined {
  const named = loss.redisMs === 0 ? 'none' : `${loss.redisMs} ms`;
  const { appendonly, appendfsync } = kept;
  if (appendonly === undefined || appendfsync === undefined)
    return `loss.redis is ${named}, and the server does not tell how it keeps what it acknowledges (CONFIG GET is closed)`;
  const isSynced = appendonly === 'yes' && kept.noFsyncOnRewrite !== 'yes';
  if (isSynced && appendfsync === 'always') return undefined;
  if (isSynced && appendfsync === 'everysec')
    return loss.redisMs >= EVERYSEC_LOSS_MS
      ? undefined
      : `loss.redis is ${named}, and appendfsync everysec may lose ${EVERYSEC_LOSS_MS} ms`;
  if (loss.redisMs >= FLUSHES * flushEveryMs) return undefined;
  const how =
    appendonly !== 'yes'
      ? 'appendonly is no'
      : kept.noFsyncOnRewrite === 'yes'
        ? 'no-appendfsync-on-rewrite is yes'
        : `appendfsync is ${appendfsync}`;
  return `loss.redis is ${named}, and ${how}: a crash may lose all that is not flushed, ${FLUSHES * flushEveryMs} ms and more`;
}

/** The age of the oldest unflushed entry at which a named loss is passed. */
export function alarmMs({ loss, flushEveryMs }: Pick<BufferConfig, 'loss' | 'flushEveryMs'>): number {
  return loss.redisMs >= FLUSHES * flushEveryMs ? Math.min(loss.redisMs, loss.diskMs) : loss.diskMs;
}

/** For the log and the event at start. */
export function describeLoss({ processMs, redisMs, diskMs }: BufferLoss): string {
  const redis = redisMs === 0 ? 'nothing' : `${redisMs} ms`;
  return `A crash may lose: of a process ${processMs} ms of what it has not acknowledged; of Redis ${redis} of what it has; of Redis with its disk ${diskMs} ms.`;
}

/** Tells once when an age passes its limit, and once when it is back: at half, so that it does not flutter. */
export class LossAlarm {
  readonly #limitMs: number;
  #isRaised = false;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  get isRaised(): boolean {
    return this.#isRaised;
  }

  note(ageMs: number): 'raised' | 'over' | undefined {
    if (!this.#isRaised && ageMs > this.#limitMs) {
      this.#isRaised = true;
      return 'raised';
    }
    if (!this.#isRaised || ageMs > this.#limitMs / 2) return undefined;
    this.#isRaised = false;
    return 'over';
  }
}
