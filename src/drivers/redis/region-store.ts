import type {
  ApplyAnswer,
  ApplyBatch,
  BeatAnswer,
  HotReadsSource,
  NewEpoch,
  RedisIdentity,
  RegionStore,
  StoredCell,
  TakeAnswer,
  OwedRefresh,
  SweptKeys,
} from '../../agent/region-store.ts';
import type { RedisPlace } from '../../config/bus-config.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import type { ReachedItem } from '../../protocol/log-record.ts';
import { type Keyspace, RECORD_FIELD, STATE_FIELD } from '../../protocol/keyspace.ts';
import { lsnFromHex, lsnToHex } from '../../protocol/lsn.ts';
import { parseSettledMark, printSettledMark, type SettledMark } from '../../protocol/settled-mark.ts';
import type { GateStore } from '../../protocol/region-gate.ts';
import type { SourceEpoch } from '../../protocol/source-epoch.ts';
import { connectRegion } from './cluster-connection.ts';
import { ask, type RedisConnection } from './connection.ts';
import { RedisHotReads } from './hot-reads.ts';
import { RedisGateStore } from './region-gate.ts';
import { scanPage } from './scan.ts';
import { type RunScript, type ScriptArgument, scriptsOf } from './scripts.ts';

/** An agent that has not renewed itself for so long, by the server's clock, counts no more. */
const LIVING_MS = 3000;

const OFFSET = /^-?\d+$/;
const LSN = /^[\da-f]{16}$/i;
const MARK = /^[\da-f]{8}:[\da-f]{16}$/i;
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** The region's Redis by one connection, in a cluster by one to each master. Throws `REDIS_UNREACHABLE` or `REDIS_DENIED`. */
export async function connectRegionStore(place: RedisPlace, name: string, keyspace: Keyspace): Promise<RegionStore> {
  const redis = await connectRegion(place, { name });
  return new RedisRegionStore(redis, keyspace);
}

function identityOf(info: string): RedisIdentity {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  return {
    runId: field('run_id'),
    replicationId: field('master_replid'),
    formerReplicationId: field('master_replid2'),
  };
}

/** A hint to Redis: of a small hash all come. */
const REFRESHES_AT_ONCE = 100;

export class RedisRegionStore implements RegionStore {
  readonly #redis: RedisConnection;
  readonly #keyspace: Keyspace;
  readonly #run: RunScript;
  readonly gate: GateStore;
  readonly hotReads: HotReadsSource;

  constructor(redis: RedisConnection, keyspace: Keyspace) {
    this.#redis = redis;
    this.#keyspace = keyspace;
    this.#run = scriptsOf(redis);
    this.gate = new RedisGateStore(redis, keyspace.gate);
    this.hotReads = new RedisHotReads(redis, keyspace.hotReads);
  }

  async enlist(agent: string): Promise<number> {
    return Number(await this.#run('enlist', [this.#keyspace.agents], [agent, LIVING_MS]));
  }

  async dismiss(agent: string): Promise<number> {
    const { agents } = this.#keyspace;
    const [, left] = await Promise.all([
      this.#ask(this.#redis.zrem(agents, agent)),
      this.#ask(this.#redis.zcard(agents)),
    ]);
    return left;
  }

  async owners(): Promise<readonly (string | BusError)[]> {
    return Promise.all(
      this.#everyCell().map(async (cell) => {
        const owner = this.#ask(this.#redis.hget(this.#keyspace.record(cell), RECORD_FIELD.owner));
        return (await unlessUnfit(owner, (error) => error)) ?? '';
      }),
    );
  }

  async take(cell: number, seen: string, token: string): Promise<TakeAnswer> {
    // One after the other on one connection: nothing of ours comes between, and only the owner writes a position.
    const [taken, stored] = await Promise.all([this.#run('take', this.#three(cell), [seen, token]), this.read(cell)]);
    return taken === 1 ? { kind: 'taken', stored } : { kind: 'refused' };
  }

  async read(cell: number): Promise<StoredCell> {
    const { record, state } = this.#keyspace;
    const fields = [
      RECORD_FIELD.offset,
      RECORD_FIELD.sourceEpoch,
      RECORD_FIELD.watermark,
      RECORD_FIELD.settledPrimary,
      RECORD_FIELD.settledReplica,
      RECORD_FIELD.asOf,
      RECORD_FIELD.droppedLsn,
      RECORD_FIELD.reached,
    ];
    const [values, epoch] = await Promise.all([
      this.#ask(this.#redis.hmget(record(cell), ...fields)),
      this.#ask(this.#redis.hget(state(cell), STATE_FIELD.epoch)),
    ]);
    const [offset, sourceEpoch, watermark, settledPrimary, settledReplica, asOf, droppedLsn, reached] = values;
    // As the scripts tell it (prelude.lua): a record that lacks a field, or holds what is none, is lost as a whole.
    if (
      sourceEpoch == null ||
      epoch === null ||
      !OFFSET.test(offset ?? '') ||
      !LSN.test(watermark ?? '') ||
      !LSN.test(droppedLsn ?? '') ||
      !MARK.test(settledPrimary ?? '') ||
      !MARK.test(settledReplica ?? '') ||
      !NUMBER.test(asOf ?? '')
    )
      return null;
    return {
      offset: Number(offset),
      sourceEpoch: JSON.parse(sourceEpoch) as SourceEpoch,
      watermark: lsnFromHex(watermark ?? ''),
      settledPrimary: parseSettledMark(settledPrimary ?? ''),
      settledReplica: parseSettledMark(settledReplica ?? ''),
      asOfMs: Number(asOf),
      ...parseReached(reached ?? ''),
      epoch,
    };
  }

  async beat(cells: readonly number[], token: string): Promise<readonly BeatAnswer[]> {
    return Promise.all(
      cells.map(async (cell): Promise<BeatAnswer> => {
        const answer = await unlessUnfit(this.#run('beat', this.#three(cell), [token]), (error) => error);
        if (answer instanceof BusError) return { kind: 'unfit', error: answer };
        const [kept, offset] = answer as [number, string | undefined];
        return kept === 1
          ? { kind: 'kept', offset: offset === '' || offset === undefined ? null : Number(offset) }
          : { kind: 'owner' };
      }),
    );
  }

  async release(cell: number, token: string): Promise<void> {
    await unlessUnfit(this.#run('release', [this.#keyspace.record(cell)], [token]), () => undefined);
  }

  async apply(cell: number, token: string, batch: ApplyBatch): Promise<ApplyAnswer> {
    const header = {
      offset: String(batch.offset),
      sourceEpoch: JSON.stringify(batch.sourceEpoch),
      watermark: lsnToHex(batch.watermark),
      reached: printReached(batch.reached),
      ...(batch.epoch === undefined ? {} : { epoch: batch.epoch }),
      asOf: String(batch.asOfMs),
      settledPrimary: printSettledMark(batch.settledPrimary),
      hasReplicas: batch.hasReplicas,
      values: batch.keys.length,
      slots: batch.plainKeys.length,
      refreshes: batch.refreshes.map(({ key, family, commitLsn }) => [key, `${lsnToHex(commitLsn)} ${family}`]),
      expires: batch.expires.map(({ family, ruleHash, staleMs }) => [family, ruleHash, staleMs]),
      marks: batch.marks.map((mark) => [mark.field, String(mark.offset), lsnToHex(mark.lsn)]),
      rules: batch.rules.map(({ families, offset, lsn }) => [String(offset), lsnToHex(lsn), [...families]]),
      sweeps: [...batch.sweeps],
    };
    const args: ScriptArgument[] = [token, String(batch.after), JSON.stringify(header)];
    for (const [bucket, entries] of batch.fences) args.push(`${RECORD_FIELD.bucketPrefix}${bucket}`, entries);
    return this.#applied(
      await this.#run(
        'apply',
        [
          ...this.#three(cell),
          this.#keyspace.refreshes(cell),
          ...this.#values(cell, batch.keys),
          ...this.#slots(cell, batch.plainKeys),
          ...this.#pairs(cell, batch.expires),
          ...this.#pairs(cell, batch.refreshes),
        ],
        args,
      ),
      cell,
    );
  }

  async beginEpoch(cell: number, token: string, epoch: NewEpoch): Promise<ApplyAnswer> {
    const header = {
      epoch: epoch.name,
      offset: String(epoch.offset),
      sourceEpoch: JSON.stringify(epoch.sourceEpoch),
      watermark: lsnToHex(epoch.watermark),
      reached: printReached(epoch.reached),
      floor: lsnToHex(epoch.floor),
    };
    const after = epoch.after === null ? '' : String(epoch.after);
    return this.#applied(
      await this.#run('begin-epoch', this.#three(cell), [token, after, JSON.stringify(header)]),
      cell,
    );
  }

  async settleReplica(cells: readonly number[], token: string, mark: SettledMark): Promise<void> {
    await Promise.all(
      cells.map((cell) =>
        unlessUnfit(
          this.#run('settle-replica', [this.#keyspace.record(cell)], [token, printSettledMark(mark)]),
          () => undefined,
        ),
      ),
    );
  }

  async owedSweeps(cells: readonly number[]): Promise<readonly ReadonlyMap<string, string>[]> {
    const owed = await Promise.all(
      cells.map((cell) => unlessUnfit(this.#ask(this.#redis.hgetall(this.#keyspace.sweeps(cell))), () => ({}))),
    );
    return owed.map((fields) => new Map(Object.entries(fields)));
  }

  async scan(
    cursor: string,
    glob: string,
  ): Promise<{ readonly next: string | null; readonly keys: readonly string[] }> {
    const page = await this.#ask(scanPage(this.#redis, cursor, this.#keyspace.valueGlob(glob)));
    return { next: page.next, keys: page.keys.flatMap((key) => this.#keyspace.cacheKey(key) ?? []) };
  }

  async sweep(cell: number, token: string, { family, keys, isPlain }: SweptKeys): Promise<number> {
    const slots = isPlain ? this.#slots(cell, keys) : [];
    const all = [this.#keyspace.record(cell), this.#keyspace.state(cell), ...this.#values(cell, keys), ...slots];
    return Number(await unlessUnfit(this.#run('sweep', all, [token, keys.length, family]), () => 0));
  }

  async clearSweeps(
    cell: number,
    token: string,
    done: ReadonlyMap<string, string>,
    rules: ReadonlyMap<string, string>,
  ): Promise<void> {
    const args = [token, JSON.stringify(Object.fromEntries(rules)), ...[...done].flat()];
    await unlessUnfit(this.#run('clear-sweeps', this.#three(cell), args), () => undefined);
  }

  async owedRefreshes(
    cell: number,
    cursor: string,
  ): Promise<{ readonly next: string | null; readonly owed: readonly OwedRefresh[] }> {
    const [next, fields] = await unlessUnfit(
      this.#ask(this.#redis.hscan(this.#keyspace.refreshes(cell), cursor, 'COUNT', REFRESHES_AT_ONCE)),
      () => ['0', []] as [string, string[]],
    );
    const owed: OwedRefresh[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const change = fields[i + 1] ?? '';
      owed.push({ key: fields[i] ?? '', family: change.slice(change.indexOf(' ') + 1), change });
    }
    return { next: next === '0' ? null : next, owed };
  }

  async clearRefresh(cell: number, { key, change }: OwedRefresh): Promise<void> {
    await unlessUnfit(this.#run('clear-refresh', [this.#keyspace.refreshes(cell)], [key, change]), () => undefined);
  }

  async identities(): Promise<readonly RedisIdentity[]> {
    const answers = await Promise.all(
      this.#everyCell().map((cell) => this.#run('identity', [this.#keyspace.record(cell)], [])),
    );
    return answers.map((answer) => identityOf((answer as string[]).join('\n')));
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }

  #pairs(cell: number, keys: readonly { readonly key: string; readonly isPlain: boolean }[]): string[] {
    return keys.flatMap(({ key, isPlain }) => {
      const value = this.#keyspace.valueKey(key, cell);
      return [value, isPlain ? this.#keyspace.slotKey(key, cell) : value];
    });
  }

  #everyCell(): number[] {
    return Array.from({ length: this.#keyspace.cells }, (_, cell) => cell);
  }

  #ask<T>(command: Promise<T>): Promise<T> {
    return ask(this.#redis, 'the region’s Redis', command);
  }

  #three(cell: number): string[] {
    return [this.#keyspace.record(cell), this.#keyspace.state(cell), this.#keyspace.sweeps(cell)];
  }

  #values(cell: number, keys: readonly string[]): string[] {
    return keys.map((key) => this.#keyspace.valueKey(key, cell));
  }

  #slots(cell: number, keys: readonly string[]): string[] {
    return keys.map((key) => this.#keyspace.slotKey(key, cell));
  }

  #applied(answer: unknown, cell: number): ApplyAnswer {
    const [kind, unlinked, expired] = answer as [string, number | undefined, number | undefined];
    if (kind === 'applied') return { kind, unlinked: unlinked ?? 0, expired: expired ?? 0 };
    if (kind === 'owner' || kind === 'position' || kind === 'lost') return { kind };
    throw new BusError('REDIS_COMMAND_FAILED', `A script answered ${JSON.stringify(answer)}.`, {
      at: this.#keyspace.record(cell),
    });
  }
}

/** What a cell answers, or something else where one of its keys is of another type than ours. */
async function unlessUnfit<T, U>(answer: Promise<T>, otherwise: (error: BusError) => U): Promise<T | U> {
  try {
    return await answer;
  } catch (error) {
    if (isBusError(error, 'REDIS_WRONG_TYPE')) return otherwise(error);
    throw error;
  }
}

function printReached(reached: ReachedItem | undefined): string {
  return reached === undefined ? '' : `${lsnToHex(reached.commitLsn)}:${reached.next}`;
}

function parseReached(text: string): { readonly reached?: ReachedItem } {
  const colon = text.indexOf(':');
  if (colon < 0) return {};
  return { reached: { commitLsn: lsnFromHex(text.slice(0, colon)), next: Number(text.slice(colon + 1)) } };
}
