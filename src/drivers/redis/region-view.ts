import { type Keyspace, RECORD_FIELD, STATE_FIELD } from '../../protocol/keyspace.ts';
import { type Lsn, lsnFromHex } from '../../protocol/lsn.ts';
import { parseSettledMark } from '../../protocol/settled-mark.ts';
import { ask, type RedisConnection } from './connection.ts';

/** What a cell's records say, for whoever only looks. */
export interface CellView {
  readonly cell: number;
  /** The token of whoever took it last; undefined where it was given back. Whether that agent lives, `readAgents` tells. */
  readonly owner: string | undefined;
  readonly epoch: string | undefined;
  readonly offset: number | undefined;
  readonly watermark: Lsn | undefined;
  /** Unix time in milliseconds by the clock of Postgres, as of the watermark. */
  readonly asOfMs: number | undefined;
  readonly settledPrimary: Lsn | undefined;
  readonly settledReplica: Lsn | undefined;
}

/** Reads every cell of a region, in one round trip. */
export async function readRegionView(redis: RedisConnection, keyspace: Keyspace): Promise<CellView[]> {
  const { owner, offset, watermark, asOf, settledPrimary, settledReplica } = RECORD_FIELD;
  const cells = Array.from({ length: keyspace.cells }, (_, cell) => cell);
  return Promise.all(
    cells.map(async (cell): Promise<CellView> => {
      const at = keyspace.record(cell);
      const [record, epoch] = await Promise.all([
        ask(redis, at, redis.hmget(at, owner, offset, watermark, asOf, settledPrimary, settledReplica)),
        ask(redis, at, redis.hget(keyspace.state(cell), STATE_FIELD.epoch)),
      ]);
      const settled = (text: string | null | undefined): Lsn | undefined =>
        text == null ? undefined : parseSettledMark(text).lsn;
      return {
        cell,
        owner: record[0] == null || record[0] === '' ? undefined : record[0].split(':')[0],
        epoch: epoch ?? undefined,
        offset: record[1] == null ? undefined : Number(record[1]),
        watermark: record[2] == null ? undefined : lsnFromHex(record[2]),
        asOfMs: record[3] == null ? undefined : Number(record[3]),
        settledPrimary: settled(record[4]),
        settledReplica: settled(record[5]),
      };
    }),
  );
}

/** Reads who works on the region: each agent's token, and for how long nothing was heard of it, by the server's own clock. */
export async function readAgents(redis: RedisConnection, keyspace: Keyspace): Promise<ReadonlyMap<string, number>> {
  const at = keyspace.agents;
  const [heard, [seconds, micros]] = await Promise.all([
    ask(redis, at, redis.zrange(at, '0', '-1', 'WITHSCORES')),
    ask(redis, at, redis.time()),
  ]);
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  const agents = new Map<string, number>();
  for (let i = 0; i < heard.length; i += 2) agents.set(heard[i] ?? '', Math.max(0, nowMs - Number(heard[i + 1])));
  return agents;
}
