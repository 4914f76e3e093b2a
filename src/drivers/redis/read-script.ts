import { createHash } from 'node:crypto';
import { Command, Redis } from 'ioredis';
import { isBusError } from '../../protocol/errors.ts';
import type { Ask, RedisConnection } from './connection.ts';
import { type RunScript, scriptsOf, scriptText } from './scripts.ts';

/** What does not change from one read of a family in a cell to the next, in the protocol's form. */
interface Frame {
  readonly head: string;
  readonly tail: string;
}

const FRAMES_MAX = 4096;

/**
 * The read script, hardly dearer for the client than a GET: to one server the request is written as one text, most of which is ready. Elsewhere, and
 * where the server does not know the script yet, it is sent like every other. What is read may be of any bytes, a character each.
 */
export class ReadScript {
  readonly #redis: RedisConnection;
  readonly #run: RunScript;
  readonly #asks: Ask;
  readonly #sha = createHash('sha1').update(scriptText('read')).digest('hex');
  readonly #isServer: boolean;
  readonly #frames = new Map<string, Frame>();

  constructor(redis: RedisConnection, asks: Ask) {
    this.#redis = redis;
    this.#run = scriptsOf(redis, asks, 'bytes');
    this.#asks = asks;
    // An application may bring a copy of ioredis of its own, whose commands are others.
    this.#isServer = redis instanceof Redis;
  }

  run<T>(keys: readonly string[], args: readonly [string, string, string], parse: (reply: unknown) => T): Promise<T> {
    const [record = '', state = '', slot = '', payload] = keys;
    const again = (): Promise<T> => this.#run('read', keys, args).then(parse);
    if (!this.#isServer || payload !== undefined) return again();
    const { head, tail } = this.#frame(record, state, args);
    const command = new FramedCommand(`${head}${bulk(slot)}${tail}`);
    this.#gather();
    this.#redis.sendCommand(command);
    return this.#asks(this.#redis, slot, command.promise).then(parse, (error: unknown) => {
      if (isBusError(error, 'REDIS_COMMAND_FAILED') && error.message.startsWith('NOSCRIPT')) return again();
      throw error;
    });
  }

  /** What is read in one turn goes out in one write: system calls are most of what a read costs. */
  #gather(): void {
    const { stream } = this.#redis as Redis;
    if (stream === undefined || stream.writableCorked > 0) return;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  #frame(record: string, state: string, [family, ttl, watermark]: readonly [string, string, string]): Frame {
    const name = `${family}${ttl}${watermark}${record}`;
    const known = this.#frames.get(name);
    if (known !== undefined) return known;
    const frame = {
      head: `*9\r\n${['EVALSHA', this.#sha, '3', record, state].map(bulk).join('')}`,
      tail: [family, ttl, watermark].map(bulk).join(''),
    };
    if (this.#frames.size >= FRAMES_MAX) this.#frames.clear();
    this.#frames.set(name, frame);
    return frame;
  }
}

/** "Redis serialization protocol specification", Bulk strings. */
function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

class FramedCommand extends Command {
  readonly #text: string;

  constructor(text: string) {
    super('evalsha', [], { replyEncoding: 'latin1' });
    this.#text = text;
  }

  override toWritable(): string {
    return this.#text;
  }
}
