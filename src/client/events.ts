/** What a client tells its application beside answers. None of it is an error of a call. */
export const EVENTS = {
  'redis-away': 'Redis does not answer: reads go to the loader, under its limits.',
  'redis-back': 'Redis answers again.',
  'redis-error': 'Redis answered a command with an error: the key is read through.',
  'rules-differ':
    'The region works by other rules for the family than this file has, or by none yet: it is read through and not stored.',
  'rules-agree': 'The region works by this file’s rules for the family.',
  unproven: 'The family’s loader does not declare `reads: "primary"`: what it loads is returned and not stored.',
  'pool-unfit': 'A pool of Postgres cannot do all that it was passed for.',
  'label-missing': 'A label cannot be printed from the loaded value: the value is returned and not stored.',
  'evictions-lost':
    'More evictions were waiting for Redis than are kept: cached values are not trusted until they have been replaced.',
  'evictions-sent': 'Evictions that waited for Redis have been sent.',
  'local-off':
    'Families with a `local` time are read from Redis each time: values cannot be kept in the process’s memory.',
  'load-abandoned': 'A loader went on long after its deadline: its place in the limit is given to another.',
} as const;

export type EventCode = keyof typeof EVENTS;

export interface CacheEvent {
  readonly code: EventCode;
  readonly message: string;
  readonly family?: string;
  readonly error?: unknown;
}

export type EventListener = (event: CacheEvent) => void;

const WARNINGS: ReadonlySet<EventCode> = new Set([
  'redis-error',
  'rules-differ',
  'unproven',
  'pool-unfit',
  'label-missing',
  'evictions-lost',
  'local-off',
  'load-abandoned',
]);

/** Where nobody listens, Node's own warnings tell what somebody should look at. */
export function warnByProcess(event: CacheEvent): void {
  if (!WARNINGS.has(event.code)) return;
  process.emitWarning(`${event.family === undefined ? '' : `${event.family}: `}${event.message}`, {
    type: 'AfterwriteWarning',
    code: event.code,
  });
}

/** Tells a thing once for each family, until it is over. */
export class Announcer {
  readonly #listener: EventListener;
  readonly #said = new Set<string>();

  constructor(listener: EventListener) {
    this.#listener = listener;
  }

  once(code: EventCode, more: Omit<CacheEvent, 'code' | 'message'> & { readonly detail?: string } = {}): void {
    const about = `${code} ${more.family ?? ''} ${more.detail ?? ''}`;
    if (this.#said.has(about)) return;
    this.#said.add(about);
    this.say(code, more);
  }

  /** From here on `once` tells it again. */
  over(code: EventCode, family = ''): boolean {
    let wasSaid = false;
    for (const about of this.#said) {
      if (!about.startsWith(`${code} ${family}`)) continue;
      this.#said.delete(about);
      wasSaid = true;
    }
    return wasSaid;
  }

  say(code: EventCode, more: Omit<CacheEvent, 'code' | 'message'> & { readonly detail?: string } = {}): void {
    const { detail, ...rest } = more;
    try {
      this.#listener({ code, message: detail === undefined ? EVENTS[code] : `${EVENTS[code]} ${detail}`, ...rest });
    } catch {
      // A listener’s fault is no fault of a read.
    }
  }
}
