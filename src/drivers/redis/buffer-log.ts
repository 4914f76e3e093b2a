import type {
  AppendAnswer,
  BufferDepth,
  BufferLog,
  OutgoingEntry,
  ReadLimits,
  StoredEntry,
} from '../../buffer/buffer-log.ts';
import type { Persistence } from '../../buffer/loss.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import { redactUrls } from '../../protocol/redact.ts';
import { connectRedis, redisError, type ServerConnection } from './connection.ts';
import { readServerFacts, readSetting, type ServerFacts } from './server-facts.ts';
import { type RunScript, type ScriptArgument, type ScriptName, scriptsOf } from './scripts.ts';

/** What a server says of whether it can hold a buffer. */
export type BufferServerFacts = ServerFacts & Persistence;

export interface BufferLogOptions {
  readonly bus: string;
  readonly config: BufferConfig;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** Why a server cannot hold the buffer; asked at each new connection. */
  readonly unfit: (facts: BufferServerFacts) => BusError | undefined;
  /** Told of each connection that stands, and of each that was lost. */
  readonly onConnection?: (is: 'up' | 'away', error?: BusError) => void;
}

/** A command without an answer for so long has an outcome that nobody knows. */
const COMMAND_TIMEOUT_MS = 2000;
/** The first page of reading and the largest: an entry may have megabytes, and a page is one answer. */
const PAGE_ENTRIES = { first: 8, max: 200 };
/** Entries that one script removes. */
const REMOVE_ENTRIES = 500;
/** While there is no server, one look for it in this time is enough. */
const AGAIN_MS = 100;

/** A connection, and what was read on it: a connection never outlives a start of its server. */
interface Session {
  readonly redis: ServerConnection;
  readonly run: RunScript;
}

interface Place {
  readonly session: Session;
  readonly id: string;
}

/**
 * A buffer's log in Redis Streams, of a server of its own:
 *
 *     afterwrite:<bus>:buffer:<name>                 hash: `partitions`, fixed for the buffer's life
 *     afterwrite:<bus>:buffer:<name>:<partition>     stream; of each entry `w` writer, `s` its number, `c` its shape, `k` keys, `d` data
 *     afterwrite:<bus>:buffer:<name>:<partition>:size
 *
 * What was read on one connection is removed on the same one only. Behind a new one there may be a server that has lost its tail and gives the same
 * ids again to other entries.
 */
export class RedisBufferLog implements BufferLog {
  readonly #options: BufferLogOptions;
  readonly #base: string;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #failed: { readonly error: BusError; readonly atMs: number } | undefined;
  #isClosed = false;

  constructor(options: BufferLogOptions) {
    this.#options = options;
    this.#base = baseOf(options.bus, options.config);
  }

  /** Connects and judges the server, where that is not done. Rejects with `REDIS_UNREACHABLE`, `REDIS_DENIED`, `BUFFER_REDIS_UNFIT` or `BUFFER_LOSS_UNKEPT`. */
  async ready(): Promise<void> {
    await this.#open();
  }

  async append(partition: number, entry: OutgoingEntry, isForced: boolean): Promise<AppendAnswer> {
    let session: Session;
    try {
      session = await this.#open();
    } catch (error) {
      return notSent(error as BusError);
    }
    if (session.redis.status !== 'ready') {
      // Gone, and not told yet: nothing is sent on it, so that nothing is unsure.
      this.#leave(session);
      return { kind: 'away', error: new Error('The connection to Redis is lost.') };
    }
    const { entriesMax, bytesMax, partitions } = this.#options.config;
    const share = (all: number): number => (isForced ? 0 : Math.max(1, Math.floor(all / partitions)));
    const { writer, seq, shape, keys, data } = entry;
    try {
      const args = [writer, seq, data, keys, share(entriesMax), share(bytesMax), shape];
      const appended = await session.run('buffer-append', this.#keys(partition), args);
      if (appended === 1) return { kind: 'appended' };
      return { kind: 'full', error: new Error(`the buffer holds as much as it may (maxEntries, maxBytes)`) };
    } catch (error) {
      return this.#notAppended(session, error);
    }
  }

  async read(partition: number, limits: ReadLimits): Promise<readonly StoredEntry[]> {
    const session = await this.#open();
    const [stream] = this.#keys(partition);
    const read: StoredEntry[] = [];
    let bytes = 0;
    let from = '-';
    while (read.length < limits.entriesMax && bytes < limits.bytesMax) {
      const room = bytes === 0 ? PAGE_ENTRIES.first : Math.ceil(((limits.bytesMax - bytes) * read.length) / bytes);
      const count = Math.min(PAGE_ENTRIES.max, room, limits.entriesMax - read.length);
      const page = await this.#ask(session, () => session.redis.xrange(stream, from, '+', 'COUNT', count));
      for (const [id, fields] of page) {
        const entry = entryOf(session, id, fields);
        bytes += entry.data.length;
        read.push(entry);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < count) break;
      from = `(${last[0]}`;
    }
    return read;
  }

  async remove(partition: number, entries: readonly StoredEntry[]): Promise<void> {
    const session = this.#session;
    const mine = entries.filter(({ place }) => (place as Place).session === session);
    if (session === undefined || mine.length === 0) return;
    for (let i = 0; i < mine.length; i += REMOVE_ENTRIES) {
      const args = mine
        .slice(i, i + REMOVE_ENTRIES)
        .flatMap(({ place, keys, data }) => [(place as Place).id, keys, Buffer.byteLength(data)]);
      await this.#run(session, 'buffer-remove', partition, args);
    }
  }

  async depth(): Promise<BufferDepth> {
    const session = await this.#open();
    const { partitions } = this.#options.config;
    return this.#ask(session, () => depthOf(session.run, this.#base, partitions));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    this.#session?.redis.disconnect();
    this.#session = undefined;
  }

  #keys(partition: number): [stream: string, size: string] {
    return keysOf(this.#base, partition);
  }

  async #open(): Promise<Session> {
    if (this.#session !== undefined) return this.#session;
    const failed = this.#failed;
    if (failed !== undefined && performance.now() - failed.atMs < AGAIN_MS) throw failed.error;
    this.#opening ??= this.#connect().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #connect(): Promise<Session> {
    const { config, name, unfit, onConnection } = this.#options;
    const at = redactUrls(config.redis);
    let redis: ServerConnection | undefined;
    try {
      if (this.#isClosed) throw new BusError('CACHE_CLOSED', 'The buffer has been drained.');
      redis = await connectRedis(config.redis, { name, commandTimeoutMs: COMMAND_TIMEOUT_MS });
      const fault = unfit(await readBufferServer(redis, at)) ?? (await this.#partitionsFault(redis));
      if (fault !== undefined) throw fault;
      const session = { redis, run: scriptsOf(redis) };
      redis.once('close', () => {
        if (this.#session === session) this.#session = undefined;
        if (!this.#isClosed) onConnection?.('away');
      });
      this.#session = session;
      this.#failed = undefined;
      onConnection?.('up');
      return session;
    } catch (error) {
      redis?.disconnect();
      const coded = redisError(error, at);
      this.#failed = { error: coded, atMs: performance.now() };
      if (!this.#isClosed) onConnection?.('away', coded);
      throw coded;
    }
  }

  /** Fewer partitions than before would leave entries where nobody reads them. */
  async #partitionsFault(redis: ServerConnection): Promise<BusError | undefined> {
    const { partitions, name } = this.#options.config;
    // Read first: a Redis that is full takes no write, and must take whoever makes room in it.
    if ((await redis.hget(this.#base, 'partitions')) === null) await redis.hsetnx(this.#base, 'partitions', partitions);
    const stored = Number(await redis.hget(this.#base, 'partitions'));
    if (stored === partitions) return undefined;
    return new BusError(
      'BUFFER_REDIS_UNFIT',
      `${name} has ${stored} partitions in this Redis and the file says ${partitions}. The count is fixed for a buffer's life.`,
      { at: this.#base },
    );
  }

  async #run(session: Session, name: ScriptName, partition: number, args: readonly ScriptArgument[]): Promise<unknown> {
    return this.#ask(session, () => session.run(name, this.#keys(partition), args));
  }

  async #ask<T>(session: Session, command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      const coded = redisError(error, this.#base);
      if (coded.code === 'REDIS_UNREACHABLE') this.#leave(session);
      throw coded;
    }
  }

  #notAppended(session: Session, error: unknown): AppendAnswer {
    const coded = redisError(error, this.#base);
    // An answer of the server's is an error of the script's, which has then written nothing.
    const isAnswer = coded.cause instanceof Error && coded.cause.name === 'ReplyError';
    if (coded.code === 'REDIS_UNREACHABLE') this.#leave(session);
    if (!isAnswer) return { kind: 'unknown', error: coded };
    if (coded.message.startsWith('OOM')) return { kind: 'full', error: coded };
    if (/^(?:MISCONF|NOREPLICAS)/.test(coded.message)) return { kind: 'away', error: coded };
    return notSent(coded);
  }

  /** A connection whose answer did not come may bring it yet, to whoever asks next; and at a new one the address may lead to a new master. */
  #leave(session: Session): void {
    if (this.#session === session) this.#session = undefined;
    session.redis.disconnect();
  }
}

function notSent(error: BusError): AppendAnswer {
  return { kind: error.code === 'REDIS_UNREACHABLE' ? 'away' : 'refused', error };
}

/** What another program has put there has no writer, and is told by its data that cannot be read. */
function entryOf(session: Session, id: string, fields: readonly string[]): StoredEntry {
  const field = (name: string): string => {
    const i = fields.indexOf(name);
    return i < 0 || i % 2 !== 0 ? '' : (fields[i + 1] ?? '');
  };
  return {
    writer: field('w') || `?${id}`,
    seq: Number(field('s')) || 1,
    shape: field('c'),
    keys: Number(field('k')) || 0,
    data: field('d'),
    place: { session, id } satisfies Place,
  };
}

function baseOf(bus: string, { name }: BufferConfig): string {
  return `afterwrite:${bus}:buffer:${name}`;
}

function keysOf(base: string, partition: number): [stream: string, size: string] {
  const stream = `${base}:${partition}`;
  return [stream, `${stream}:size`];
}

async function depthOf(run: RunScript, base: string, partitions: number): Promise<BufferDepth> {
  const looks = Array.from({ length: partitions }, (_, partition) => run('buffer-depth', keysOf(base, partition), []));
  const all = (await Promise.all(looks)) as [keys: number, bytes: number, oldestMs: number][];
  return {
    entries: all.reduce((sum, [keys]) => sum + keys, 0),
    bytes: all.reduce((sum, [, bytes]) => sum + bytes, 0),
    oldestMs: Math.max(...all.map(([, , oldest]) => oldest)),
  };
}

/** How much of a buffer a server holds; asked on a connection of the caller's. */
export function readBufferDepth(redis: ServerConnection, bus: string, config: BufferConfig): Promise<BufferDepth> {
  return depthOf(scriptsOf(redis), baseOf(bus, config), config.partitions);
}

/** What the server of a buffer says of itself. CONFIG may be closed, and then says nothing. */
export async function readBufferServer(redis: ServerConnection, at: string): Promise<BufferServerFacts> {
  const setting = (name: string): Promise<string | undefined> =>
    readSetting(redis, at, name).catch((error: unknown) => {
      if (redisError(error, at).code === 'REDIS_UNREACHABLE') throw error;
      return undefined;
    });
  const [facts, appendonly, appendfsync, noFsyncOnRewrite] = await Promise.all([
    readServerFacts(redis, at),
    setting('appendonly'),
    setting('appendfsync'),
    setting('no-appendfsync-on-rewrite'),
  ]);
  return { ...facts, appendonly, appendfsync, noFsyncOnRewrite };
}
