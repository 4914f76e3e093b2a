import type { TierNews } from '../../client/tier.ts';
import { BusError } from '../../protocol/errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { RedisConnection, ServerConnection } from './connection.ts';
import type { InvalidatedKeys } from './invalidated-key.ts';

export interface TrackingParts {
  /** On which values are read. */
  readonly reading: RedisConnection;
  /** A connection that speaks RESP2 and does not reconnect by itself. */
  readonly connect: () => ServerConnection;
  /** Sends a command on the reading connection. */
  readonly trackTo: (id: number) => Promise<unknown>;
  readonly pulse: (key: string) => Promise<unknown>;
  /** Names of keys that nobody else uses. */
  readonly pulseKey: (number: number) => string;
  readonly keys: InvalidatedKeys;
  readonly staleMs: number;
  readonly news: TierNews;
}

/** "Client-side caching in Redis", Two connections mode: where the redirected connection listens. */
const CHANNEL = '__redis__:invalidate';
const PULSE_EVERY_MS = 1000;
/** As long as the connection may take to stand, at least. */
const BEGIN_MS = 2000;

/**
 * One life of the tracking: a connection that listens, and the reading connection redirected to it. It ends for good with either of them.
 *
 *     reading stands ──▶ listen ──▶ CLIENT TRACKING ON REDIRECT ──▶ pulse, and its echo ──▶ pulse each second ──▶ …
 *
 * A pulse changes a key on the reading connection, so its echo proves the whole way: the reading connection stands and is tracked, by a server
 * that takes writes, its news come to this connection and not to a stranger of the same number on another server, and all that was told before
 * the pulse has arrived. A ping of the listening connection alone would prove its own half.
 *
 * Without NOLOOP: it keeps our own writes from being told, and with them the key from being tracked (Redis 7.0, tracking.c): the
 * next change, by another, would not be told either.
 */
export class TrackingSession {
  readonly #parts: TrackingParts;
  readonly #lost = Promise.withResolvers<never>();
  readonly #onClose = (): void => this.#end(new BusError('REDIS_UNREACHABLE', 'The connection was closed.'));
  #onReady: () => void = () => undefined;
  #redis: ServerConnection | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #awaited: { readonly key: string; readonly heard: () => void } | undefined;
  /** Whether the reading connection has answered the last pulse. */
  #isAnswered = true;
  #hasProven = false;

  constructor(parts: TrackingParts) {
    this.#parts = parts;
    this.#lost.promise.catch(() => undefined);
  }

  get hasProven(): boolean {
    return this.#hasProven;
  }

  /** Whether the end came while the reading connection owed an answer. */
  get isReadingSilent(): boolean {
    return !this.#isAnswered;
  }

  /** Rejects as the session ends. What is held has been dropped by then. */
  async live(signal: AbortSignal): Promise<never> {
    const { reading } = this.#parts;
    const onAbort = (): void => this.#end(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    reading.on('close', this.#onClose);
    try {
      await this.#within(this.#begin());
      for (let number = 0; ; number++) {
        await this.#within(this.#beat(number));
        await this.#within(systemClock.sleep(Math.min(PULSE_EVERY_MS, this.#parts.staleMs / 2), signal));
      }
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      reading.off('close', this.#onClose);
      reading.off('ready', this.#onReady);
    }
  }

  async #begin(): Promise<void> {
    const { reading, connect, trackTo } = this.#parts;
    if (reading.status !== 'ready')
      await new Promise<void>((resolve) => reading.once('ready', (this.#onReady = resolve)));
    if (this.#isOver) return;
    this.#late(performance.now() + Math.max(BEGIN_MS, this.#parts.staleMs));
    const redis = (this.#redis = connect());
    redis.on('close', this.#onClose);
    // Told as an array of names, which the text form of the event would run together.
    redis.on('messageBuffer', (_channel: Buffer, names: unknown) => this.#hear(names));
    await redis.connect();
    const id = await redis.client('ID');
    await redis.subscribe(CHANNEL);
    await trackTo(id);
  }

  async #beat(number: number): Promise<void> {
    const { pulse, pulseKey, news, staleMs } = this.#parts;
    const sentMs = performance.now();
    const key = pulseKey(number);
    const echo = new Promise<void>((resolve) => (this.#awaited = { key, heard: resolve }));
    this.#isAnswered = false;
    pulse(key).then(
      () => (this.#isAnswered = true),
      // What was not answered in time may still be, and its echo come. An answer that says no is one.
      (error: unknown) => {
        if (!isReply(error)) return;
        this.#isAnswered = true;
        this.#end(error);
      },
    );
    await echo;
    if (this.#isOver) return;
    this.#hasProven = true;
    news.proven(sentMs);
    this.#late(sentMs + staleMs);
  }

  #hear(names: unknown): void {
    const { news, keys } = this.#parts;
    if (this.#isOver) return;
    // Null is FLUSHALL.
    if (!Array.isArray(names)) return news.all();
    for (const name of names as readonly Buffer[]) {
      const text = name.toString();
      if (text === this.#awaited?.key) this.#awaited.heard();
      else keys.tell(text, news);
    }
  }

  /** Ends the session at that time, unless it is put off before. The sockets are read once more: a busy process was late itself. */
  #late(untilMs: number): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(
      () =>
        setImmediate(() => {
          if (timer === this.#timer) this.#end(new BusError('REDIS_UNREACHABLE', 'No echo of a pulse came in time.'));
        }),
      Math.max(1, untilMs - performance.now()),
    );
    timer.unref();
    this.#timer = timer;
  }

  #within<T>(step: Promise<T>): Promise<T> {
    return Promise.race([step, this.#lost.promise]);
  }

  /** At once, and not behind a promise: nothing is served in between. */
  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.news.lost();
    clearTimeout(this.#timer);
    this.#redis?.disconnect();
    this.#lost.reject(error);
  }
}

function isReply(error: unknown): boolean {
  const cause = error instanceof BusError ? error.cause : error;
  return cause instanceof Error && cause.name === 'ReplyError';
}
