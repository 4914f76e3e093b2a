import { isBusError } from '../protocol/errors.ts';
import type { Clock } from '../runtime/clock.ts';

/** What a client tells its application beside answers. None of it is an error of a call. */
export const EVENTS = {
  'redis-away': 'Redis does not answer: reads go to the loader, under its limits.',
  'redis-back': 'Redis answers again.',
  'redis-denied': 'Redis refuses the client or one of its commands: what is asked so is read through.',
  'redis-error': 'Redis answered a command with an error: the key is read through.',
  'rules-differ':
    'The region works by other rules for the family than this file has, or by none: it is read through and not stored.',
  'rules-agree': 'The region works by this file’s rules for the family.',
  unproven: 'The family’s loader does not declare `reads: "primary"`: what it loads is returned and not stored.',
  'pool-unfit': 'A pool of Postgres cannot do all that it was passed for.',
  'label-missing': 'A label cannot be printed from the loaded value: the value is returned and not stored.',
  'write-not-stored': 'What a write returned is not a value that can be stored: its key is evicted instead.',
  'evictions-lost':
    'More evictions were waiting for Redis than are kept: cached values are not trusted until they have been replaced.',
  'evictions-sent': 'Evictions that waited for Redis have been sent.',
  'local-off':
    'Families with a `local` time are read from Redis each time: values cannot be kept in the process’s memory.',
  'evictions-dropped':
    'The cache was drained before Redis had taken the evictions that waited: what they were to drop may be served until its time to live is over.',
  'buffer-open': 'A buffer was opened.',
  'buffer-away': 'A buffer’s Redis takes nothing: it does not answer, or is not fit.',
  'buffer-back': 'A buffer’s Redis takes entries again.',
  'buffer-behind':
    'More of a buffer may be lost than the file names: what it holds is not getting to where it belongs.',
  'buffer-caught-up': 'No more of a buffer may be lost than the file names.',
  'buffer-refused': 'Calls to a buffer were answered by an error.',
  'buffer-through': 'A buffer cannot take calls: they are written to Postgres directly.',
  'buffer-flush-failed': 'A buffer could not be flushed: it is tried again.',
  'buffer-rows-refused':
    'Postgres refuses rows of a buffer: they stand in the table afterwrite_refused, with the reason.',
  'source-one-by-one':
    'The source of a family cannot be asked for many keys by one statement: each key of a list is loaded by one of its own.',
  'load-abandoned': 'A loader went on long after its deadline: its place in the limit is given to another.',
} as const;

export type EventCode = keyof typeof EVENTS;

export interface CacheEvent {
  readonly code: EventCode;
  readonly message: string;
  readonly family?: string;
  readonly buffer?: string;
  readonly error?: unknown;
}

export type EventListener = (event: CacheEvent) => void;

const WARNINGS: ReadonlySet<EventCode> = new Set([
  'redis-denied',
  'redis-error',
  'rules-differ',
  'unproven',
  'pool-unfit',
  'label-missing',
  'write-not-stored',
  'evictions-lost',
  'local-off',
  'evictions-dropped',
  'load-abandoned',
  'source-one-by-one',
  'buffer-away',
  'buffer-behind',
  'buffer-refused',
  'buffer-flush-failed',
  'buffer-rows-refused',
]);

/** Where nobody listens, Node's own warnings tell what somebody should look at. */
export function warnByProcess(event: CacheEvent): void {
  if (!WARNINGS.has(event.code)) return;
  const about = event.family ?? event.buffer;
  process.emitWarning(`${about === undefined ? '' : `${about}: `}${event.message}`, {
    type: 'AfterwriteWarning',
    code: event.code,
  });
}

/** What goes on is told again after so long: an error of last week that comes back today must not be silent. */
const AGAIN_MS = 60_000;

/** Tells a thing once for each family or buffer, until it is over. */
export class Announcer {
  readonly #listener: EventListener;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #said = new Set<string>();
  readonly #lastMs = new Map<string, number>();

  constructor(listener: EventListener, clock: Pick<Clock, 'monotonicMs'>) {
    this.#listener = listener;
    this.#clock = clock;
  }

  once(code: EventCode, more: Omit<CacheEvent, 'code' | 'message'> & { readonly detail?: string } = {}): void {
    const about = `${code} ${more.family ?? more.buffer ?? ''} ${more.detail ?? ''}`;
    if (this.#said.has(about)) return;
    this.#said.add(about);
    this.say(code, more);
  }

  /** A command to Redis has failed. That Redis is away is not told here: many commands fail then, and the breaker tells it once. */
  redisFailed(error: unknown, family?: string): void {
    if (isBusError(error, 'REDIS_UNREACHABLE')) return;
    if (isBusError(error, 'REDIS_DENIED')) this.nowAndThen('redis-denied', { error, detail: error.message });
    else this.nowAndThen('redis-error', { error, ...(family === undefined ? {} : { family }) });
  }

  /** From here on `once` tells it again. */
  over(code: EventCode, name = ''): boolean {
    let wasSaid = false;
    for (const about of this.#said) {
      if (!about.startsWith(`${code} ${name} `)) continue;
      this.#said.delete(about);
      wasSaid = true;
    }
    return wasSaid;
  }

  say(code: EventCode, more: Omit<CacheEvent, 'code' | 'message'> & { readonly detail?: string } = {}): void {
    const { detail, ...rest } = more;
    try {
      // A listener may be an async function, though its type has no use for what it returns.
      const told: unknown = this.#listener({
        code,
        message: detail === undefined ? EVENTS[code] : `${EVENTS[code]} ${detail}`,
        ...rest,
      });
      if (told instanceof Promise) told.catch(() => undefined);
    } catch {
      // A listener’s fault is no fault of a read.
    }
  }

  /** What goes on is told once in a while. */
  nowAndThen(code: EventCode, more: Omit<CacheEvent, 'code' | 'message'> & { readonly detail?: string }): void {
    const about = `${code} ${more.family ?? more.buffer ?? ''}`;
    const nowMs = this.#clock.monotonicMs();
    const lastMs = this.#lastMs.get(about);
    if (lastMs !== undefined && nowMs - lastMs < AGAIN_MS) return;
    this.#lastMs.set(about, nowMs);
    this.say(code, more);
  }
}
