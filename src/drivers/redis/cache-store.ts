import type {
  CacheStore,
  Entry,
  LeaseReply,
  LeaseRequest,
  ReadReply,
  ReadWants,
  StoreRefusal,
  StoreReply,
  StoreRequest,
  WriteLeaseReply,
  WriteLeaseRequest,
} from '../../client/cache-store.ts';
import { bytesOf } from '../../protocol/byte-text.ts';
import { BusError } from '../../protocol/errors.ts';
import { type Keyspace, RECORD_FIELD, STATE_FIELD } from '../../protocol/keyspace.ts';
import { lsnFromHex, lsnToHex } from '../../protocol/lsn.ts';
import { parseSettledMark } from '../../protocol/settled-mark.ts';
import type { SourceEpoch } from '../../protocol/source-epoch.ts';
import { printFlags } from '../../protocol/value-flags.ts';
import { printTagMarks } from '../../protocol/value-slot.ts';
import { type Ask, ask, type RedisConnection } from './connection.ts';
import { ReadReplies } from './read-reply.ts';
import { ReadScript } from './read-script.ts';
import { type RunScript, scriptsOf } from './scripts.ts';

/** The store of a connection that is given: whoever made it decides about deadlines and new connections. */
export class RedisCacheStore implements CacheStore {
  readonly #redis: RedisConnection;
  readonly #keyspace: Keyspace;
  readonly #ask: Ask;
  readonly #run: RunScript;
  readonly #read: ReadScript;
  readonly #parse: (reply: unknown) => ReadReply;

  constructor(redis: RedisConnection, keyspace: Keyspace, asks: Ask = ask) {
    this.#redis = redis;
    this.#keyspace = keyspace;
    this.#ask = asks;
    this.#run = scriptsOf(redis, asks);
    this.#read = new ReadScript(redis, asks);
    const replies = new ReadReplies();
    this.#parse = (reply) => replies.parse(reply);
  }

  read(entry: Entry, wants: ReadWants): Promise<ReadReply> {
    const args = [entry.family, wants.ttl ? '1' : '0', wants.watermark ? '1' : '0'] as const;
    const keys = this.#keys(entry);
    // Redis 7.0 tracks every key that a script declares, read or not: without need of the record, its changes must not be told.
    if (!wants.watermark) keys[0] = this.#keyspace.state(entry.cell);
    return this.#read.run(keys, args, this.#parse);
  }

  async lease(entry: Entry, request: LeaseRequest): Promise<LeaseReply> {
    const { token, leaseMs, rule, staleMs, waits, early = '', version = 0 } = request;
    const bucket = `${RECORD_FIELD.bucketPrefix}${entry.bucket}`;
    const hash = entry.hash.toString(16).padStart(8, '0');
    const args = [token, leaseMs, entry.family, rule, staleMs, waits ? 1 : 0, bucket, hash, early, version];
    const [kind, ...rest] = (await this.#run('lease', this.#keys(entry), args)) as [string, ...string[]];
    switch (kind) {
      case 'leased':
        return { kind, reading: readingOf(rest) };
      case 'held':
        return { kind, token: rest[0] ?? '' };
      case 'rules':
        return { kind, rule: rest[0] ?? null };
      case 'live':
      case 'lost':
        return { kind };
      default:
        throw this.#unknown(kind, entry);
    }
  }

  async leaseToWrite(entry: Entry, { token, leaseMs, rule }: WriteLeaseRequest): Promise<WriteLeaseReply> {
    const args = [token, leaseMs, entry.family, rule];
    const [kind, first, offset] = (await this.#run('lease-to-write', this.#keys(entry), args)) as [
      string,
      string,
      string,
    ];
    switch (kind) {
      case 'leased':
        return { kind, reading: { epoch: first, offset: Number(offset) } };
      case 'rules':
        return { kind, rule: first ?? null };
      case 'lost':
        return { kind };
      default:
        throw this.#unknown(kind, entry);
    }
  }

  async store(entry: Entry, request: StoreRequest): Promise<StoreReply> {
    const [kind, why] = (await this.#run('store', this.#keys(entry), [
      request.token,
      request.epoch,
      request.offset,
      lsnToHex(request.bound),
      entry.family,
      request.rule,
      printTagMarks(request.tagMarks),
      request.ttlMs,
      request.payload === null ? 'n' : 'v',
      request.id,
      this.#keyspace.leaseEnds,
      entry.key,
      bytesOf(request.payload ?? ''),
      printFlags(request.flags ?? {}),
    ])) as [string, StoreRefusal | undefined];
    if (kind === 'stored') return { kind };
    if (kind === 'refused' && why !== undefined) return { kind, why };
    throw this.#unknown(kind, entry);
  }

  async giveUp(entry: Entry, token: string): Promise<void> {
    await this.#run('give-up', [this.#slot(entry)], [token, this.#keyspace.leaseEnds, entry.key]);
  }

  async evict(entries: readonly Entry[]): Promise<void> {
    await Promise.all(
      entries.map((entry) => this.#ask(this.#redis, entry.key, this.#redis.unlink(...this.#keys(entry).slice(2)))),
    );
  }

  async rules(): Promise<ReadonlyMap<string, string>> {
    const state = await this.#ask(this.#redis, this.#keyspace.state(0), this.#redis.hgetall(this.#keyspace.state(0)));
    const { rulePrefix } = STATE_FIELD;
    return new Map(
      Object.entries(state)
        .filter(([field]) => field.startsWith(rulePrefix))
        .map(([field, text]) => [field.slice(rulePrefix.length), text]),
    );
  }

  /** Record, state, slot and, in plain mode, payload. */
  #keys(entry: Entry): string[] {
    const { record, state, valueKey } = this.#keyspace;
    const keys = [record(entry.cell), state(entry.cell), this.#slot(entry)];
    if (entry.isPlain) keys.push(valueKey(entry.key, entry.cell));
    return keys;
  }

  #slot({ key, cell, isPlain }: Entry): string {
    return isPlain ? this.#keyspace.slotKey(key, cell) : this.#keyspace.valueKey(key, cell);
  }

  #unknown(answer: unknown, entry: Entry): BusError {
    return new BusError('REDIS_COMMAND_FAILED', `A script answered ${JSON.stringify(answer)}.`, {
      at: this.#slot(entry),
    });
  }
}

function readingOf(fields: readonly string[]) {
  const [epoch = '', offset = '', sourceEpoch = '', floor = '', fenced = '', dropped = '', primary = '', replica = ''] =
    fields;
  return {
    epoch,
    offset: Number(offset),
    timeline: (JSON.parse(sourceEpoch) as SourceEpoch).timeline,
    floor: lsnFromHex(floor),
    fenced: lsnFromHex(fenced),
    droppedLsn: lsnFromHex(dropped),
    settledPrimary: parseSettledMark(primary),
    settledReplica: parseSettledMark(replica),
  };
}
