// The composition root of what the library writes behind: here its Redis and its way to Postgres are chosen.
import { keyColumns } from './buffer/key-text.ts';
import { describeLoss } from './buffer/loss.ts';
import type { BufferObserver } from './buffer/observe.ts';
import { BufferSet } from './buffer/buffer-set.ts';
import { OpenBuffer } from './buffer/open-buffer.ts';
import { unfitFor } from './buffer/server-fit.ts';
import type { Announcer } from './client/events.ts';
import { transactionsOf } from './client/pool-transaction.ts';
import type { Pool } from './client/pool.ts';
import type { BufferConfig, BusConfig } from './config/bus-config.ts';
import { PostgresBufferSink } from './drivers/postgres/buffer-sink.ts';
import { RedisBufferLog } from './drivers/redis/buffer-log.ts';
import { BusError, type ErrorCode, isBusError } from './protocol/errors.ts';
import { answerWithin } from './runtime/answer-within.ts';
import { systemClock } from './runtime/clock.ts';

/** What a process does with the file's buffers: nothing, append to them, or flush them into Postgres too. */
export type BufferMode = 'off' | 'append' | 'flush';

export interface OpenBuffersOptions {
  readonly config: BusConfig;
  readonly mode: BufferMode;
  readonly primary: Pool | undefined;
  /** Of this start of this process. */
  readonly process: string;
  readonly announcer: Announcer;
  /** How long a Redis that does not answer is waited for. */
  readonly waitMs: number;
}

/**
 * Opens the buffers of a file. Throws `CACHE_OPTION_INVALID`, `BUFFER_REDIS_UNFIT`, `BUFFER_LOSS_UNKEPT`, `REDIS_DENIED`, and where
 * this process writes to Postgres `CONFIG_INVALID` or `POSTGRES_PERMISSION`. A server that is away is waited for later.
 */
export async function openBuffers(options: OpenBuffersOptions): Promise<BufferSet> {
  const { config, mode, primary } = options;
  const known = config.buffers;
  if (mode === 'off') return new BufferSet(new Map(), known);
  if (mode !== 'append' && mode !== 'flush')
    throw new BusError('CACHE_OPTION_INVALID', `buffers is "${String(mode)}": off, append or flush is expected.`);
  for (const { name, whenFull } of known.values())
    if (primary === undefined && (mode === 'flush' || whenFull === 'write-through'))
      throw new BusError(
        'CACHE_OPTION_INVALID',
        `Buffer ${name} is written to Postgres by this process: pass the application's pool as postgres.primary, or buffers: "off".`,
      );
  const opened = [...known.values()].map((buffer) => open(buffer, options));
  const set = new BufferSet(new Map(opened.map(({ buffer }) => [buffer.config.name, buffer])), known);
  try {
    await Promise.all(
      opened.flatMap(({ log, sink }) => [
        within(log.ready(), options.waitMs),
        ...(sink === undefined ? [] : [within(sink.check(), options.waitMs)]),
      ]),
    );
  } catch (error) {
    await set.drain(AbortSignal.abort());
    throw error;
  }
  return set;
}

function open(
  config: BufferConfig,
  { config: { bus }, mode, primary, process, announcer }: OpenBuffersOptions,
): { readonly buffer: OpenBuffer; readonly log: RedisBufferLog; readonly sink: PostgresBufferSink | undefined } {
  const { name } = config;
  announcer.say('buffer-open', { buffer: name, detail: describeLoss(config.loss) });
  const logOf = (role: string, onConnection?: (is: 'up' | 'away', error?: BusError) => void): RedisBufferLog =>
    new RedisBufferLog({
      bus,
      config,
      name: `afterwrite-${role}-${bus}-${name}`,
      unfit: (server) => unfitFor(config, server),
      ...(onConnection === undefined ? {} : { onConnection }),
    });
  const log = logOf('buffer', (is, error) => {
    if (is === 'away')
      announcer.once('buffer-away', { buffer: name, ...(error === undefined ? {} : { error, detail: error.message }) });
    else if (announcer.over('buffer-away', name)) announcer.say('buffer-back', { buffer: name });
  });
  const sink =
    primary === undefined || (mode !== 'flush' && config.whenFull !== 'write-through')
      ? undefined
      : new PostgresBufferSink(transactionsOf(primary), {
          bus,
          config,
          keyColumns,
        });
  const buffer = new OpenBuffer({
    config,
    log,
    ...(sink === undefined ? {} : { sink }),
    ...(mode === 'flush' ? { flushLog: logOf('flush') } : {}),
    clock: systemClock,
    random: Math.random,
    writer: process,
    observer: observerOf(name, announcer),
  });
  return { buffer, log, sink };
}

function observerOf(buffer: string, announcer: Announcer): BufferObserver {
  return {
    depth: () => undefined,
    looked: () => undefined,
    behind: (what, is, ageMs) =>
      announcer.say(is === 'raised' ? 'buffer-behind' : 'buffer-caught-up', {
        buffer,
        detail: `The oldest ${what === 'unflushed' ? 'entry' : 'call of this process'} is ${Math.round(ageMs)} ms old.`,
      }),
    flushed: ({ refused }) => {
      if (refused > 0) announcer.nowAndThen('buffer-rows-refused', { buffer, detail: `Rows: ${refused}.` });
    },
    refused: (calls, error) =>
      announcer.nowAndThen('buffer-refused', { buffer, error, detail: `${error.message} Calls: ${calls}.` }),
    wroteThrough: () => announcer.nowAndThen('buffer-through', { buffer }),
    failed: (doing, error) => {
      // That Redis is away is told by the connection that appends.
      if (doing === 'flush' && !isBusError(error, 'REDIS_UNREACHABLE'))
        announcer.nowAndThen('buffer-flush-failed', { buffer, error, detail: (error as Error).message });
    },
  };
}

/** What is wrong by the file, or by a permission. */
const FATAL: readonly ErrorCode[] = [
  'CONFIG_INVALID',
  'POSTGRES_PERMISSION',
  'BUFFER_REDIS_UNFIT',
  'BUFFER_LOSS_UNKEPT',
  'REDIS_DENIED',
];

/** A server that is away, or busy, is waited for later. */
async function within(looking: Promise<void>, waitMs: number): Promise<void> {
  try {
    await answerWithin(looking, waitMs, systemClock, new AbortController().signal);
  } catch (error) {
    if (!isBusError(error) || FATAL.includes(error.code)) throw error;
  }
}
