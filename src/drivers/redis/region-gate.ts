import { BusError } from '../../protocol/errors.ts';
import {
  BEGUN_FOR_MS,
  type CellsAnswer,
  type GateShard,
  type GateStore,
  HALF_BEGAN_ANEW,
  type NotedCells,
  parseGate,
  type StoredGate,
  WHOLE,
} from '../../protocol/region-gate.ts';
import { type Ask, ask, type RedisConnection } from './connection.ts';
import { type RunScript, scriptsOf } from './scripts.ts';

const FIELDS = ['epoch', 'state', 'share', 'reason', 'since'] as const;

/** The gate of a region in its Redis: one hash, in a Redis Cluster one key of one slot. */
export class RedisGateStore implements GateStore {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #ask: Ask;
  readonly #run: RunScript;

  constructor(redis: RedisConnection, key: string, asks: Ask = ask) {
    this.#redis = redis;
    this.#key = key;
    this.#ask = asks;
    this.#run = scriptsOf(redis, asks);
  }

  async read(): Promise<StoredGate | null> {
    return parseGate(await this.#ask(this.#redis, this.#key, this.#redis.hmget(this.#key, ...FIELDS)));
  }

  async markCold(epoch: string, reason: string, former = ''): ReturnType<GateStore['markCold']> {
    const [isMarked, ...fields] = (await this.#run('gate-cold', [this.#key], [epoch, reason, former])) as [
      number,
      ...(string | null)[],
    ];
    const gate = parseGate(fields);
    if (gate === null) throw this.#unknown(fields);
    return { isMarked: isMarked === 1, gate };
  }

  async noteCells({ epoch, next, cells, regionCells }: NotedCells): Promise<CellsAnswer> {
    const pairs = [...cells].flatMap(([cell, name]) => [cell, name]);
    const answer = await this.#run(
      'gate-cells',
      [this.#key],
      [epoch, next, regionCells, HALF_BEGAN_ANEW, BEGUN_FOR_MS, ...pairs],
    );
    const [kind, begun] = answer as [string, number | undefined];
    if (kind === 'noted' || kind === 'moved') return { kind };
    if (kind === 'cold') return { kind, begun: begun ?? 0 };
    throw this.#unknown(answer);
  }

  report(epoch: string, share: number, shard: GateShard = WHOLE): Promise<'ok' | 'moved'> {
    return this.#tell(epoch, 'report', shard, share);
  }

  warm(epoch: string, shard: GateShard = WHOLE): Promise<'ok' | 'moved'> {
    return this.#tell(epoch, 'warm', shard);
  }

  open(epoch: string): Promise<'ok' | 'moved'> {
    return this.#tell(epoch, 'open', WHOLE);
  }

  async #tell(epoch: string, what: string, { shard, of }: GateShard, share = 0): Promise<'ok' | 'moved'> {
    const answer = await this.#run('gate-report', [this.#key], [epoch, what, shard, of, share]);
    if (answer === 'ok' || answer === 'moved') return answer;
    throw this.#unknown(answer);
  }

  #unknown(answer: unknown): BusError {
    return new BusError('REDIS_COMMAND_FAILED', `A script answered ${JSON.stringify(answer)}.`, { at: this.#key });
  }
}
