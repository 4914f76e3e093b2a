import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';
import { startFedLog } from '../support/fed-log.ts';

const CELLS = 4;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: false });

/** Of each cell: its owner and how often he has shown that he lives, its offset and its epoch. */
async function cellsOf(redis: RedisConnection) {
  return Promise.all(
    Array.from({ length: CELLS }, async (_, cell) => {
      const [owner, offset] = await redis.hmget(keyspace.record(cell), 'owner', 'offset');
      const [token = '', beats = '0'] = owner?.split(':') ?? [];
      return {
        token,
        beats: Number(beats),
        offset: Number(offset ?? -1),
        epoch: await redis.hget(keyspace.state(cell), 'epoch'),
      };
    }),
  );
}

test('once a Redis that came back empty is warm, an agent that ends leaves its cells as they are to the other', async () => {
  let server = await startRedis();
  const fed = startFedLog(CELLS);
  const { url, port } = server;
  const connect = () => connectRegionStore(url, 'agent', keyspace);
  // Comes back last, when the other has begun all cells anew.
  let mayConnect: Promise<unknown> = Promise.resolve();
  const first = startAgentOn(fed.log, { connectStore: () => mayConnect.then(connect) });
  const second = startAgentOn(fed.log, { connectStore: connect });
  let redis = await connectRedis(url, { name: 'test' });
  const shared = async () => {
    const cells = await cellsOf(redis);
    const halves = [...Map.groupBy(cells, ({ token }) => token).values()];
    return cells.every(({ epoch }) => epoch !== null) && halves.every((half) => half.length === CELLS / 2);
  };
  try {
    await eventually('each has its half', shared);
    const begun = Promise.withResolvers<void>();
    mayConnect = begun.promise;
    server.process?.kill('SIGKILL');
    await eventually('away', () => [first, second].every(({ seen }) => seen.events.includes('away')));
    redis.disconnect();
    await server.stop();
    server = await startRedis({ port });
    redis = await connectRedis(url, { name: 'test' });
    await eventually('the other has begun all cells', async () =>
      (await cellsOf(redis)).every(({ epoch }) => epoch !== null),
    );
    begun.resolve();
    await eventually('each has its half again', shared);
    const gate = new RedisGateStore(redis, keyspace.gate);
    const epoch = (await gate.read())?.epoch ?? '';
    await gate.warm(epoch);
    const before = await cellsOf(redis);
    await eventually('all have looked at each cell since', async () =>
      (await cellsOf(redis)).every(
        ({ token, beats }, cell) => token === before[cell]?.token && beats >= before[cell].beats + 2,
      ),
    );
    await second.stop();
    const left = await cellsOf(redis);
    await eventually('the other works on all', async () =>
      (await cellsOf(redis)).every(({ token, offset }, cell) => token !== '' && offset > (left[cell]?.offset ?? 0)),
    );
    const after = await cellsOf(redis);
    assert.deepEqual(
      after.map((one) => one.epoch),
      before.map((one) => one.epoch),
    );
    assert.equal((await gate.read())?.state, 'WARM');
  } finally {
    redis.disconnect();
    await first.stop();
    await second.stop().catch(() => undefined);
    fed.stop();
    await server.stop();
  }
});
