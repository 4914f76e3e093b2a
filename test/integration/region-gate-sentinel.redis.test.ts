import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseConfig } from '../../src/config/parse-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { mastersOf } from '../../src/drivers/redis/cluster-masters.ts';
import { connectRegion } from '../../src/drivers/redis/cluster-connection.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';
import { startFedLog } from '../support/fed-log.ts';
import { startSentinel } from '../support/redis-sentinel.ts';

const CELLS = 4;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: false });
const closing: (() => unknown)[] = [];
let master: RedisServer;
let replica: RedisServer;
let sentinel: Awaited<ReturnType<typeof startSentinel>>;

before(async () => {
  [master, replica] = await Promise.all([startRedis(), startRedis()]);
  closing.push(
    () => master.stop(),
    () => replica.stop(),
  );
  const following = await connectRedis(replica.url, { name: 'test' });
  await following.replicaof('127.0.0.1', master.port);
  await eventually('in sync', async () => (await following.info('replication')).includes('master_link_status:up'));
  following.disconnect();
  sentinel = await startSentinel(master.port);
  closing.push(() => sentinel.stop());
});
after(async () => {
  for (const one of closing.splice(0).toReversed()) await one();
});

test('behind Sentinels a failover is a REPLAY: the agent finds the new master, and the gate stands; keys are those of one server', async (t) => {
  const file = `bus: shop
source: { url: postgres://nobody@127.0.0.1:1/none }
log: { redisStreams: { url: redis://127.0.0.1:1, partitions: ${CELLS} } }
regions: { eu: { redis: { sentinels: [${sentinel.url}], master: redis://shop } } }
families: { user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } } }
`;
  const parsed = parseConfig([{ name: 'afterwrite.yaml', text: file }], {});
  assert.ok(parsed.kind === 'config', JSON.stringify(parsed));
  const region = parsed.config.regions.get('eu');
  assert.ok(region !== undefined);
  assert.equal(keyspaceOf(parsed.config, region).valueKey('user:1', 0), 'shop:user:1', 'no hash tag');
  const place = region.redis;
  const fed = startFedLog(CELLS);
  closing.push(() => fed.stop());
  await eventually('the Sentinel knows the replica', async () => {
    const asking = await connectRedis(sentinel.url, { name: 'test' });
    const replicas = (await asking.call('SENTINEL', 'REPLICAS', 'shop')) as unknown[];
    asking.disconnect();
    return replicas.length === 1;
  });
  const agent = startAgentOn(fed.log, { connectStore: () => connectRegionStore(place, 'agent', keyspace) });
  closing.push(() => agent.stop());
  const redis = await connectRegion(place, { name: 'test' });
  assert.deepEqual(
    mastersOf(redis).map(({ host }) => host),
    [`127.0.0.1:${master.port}`],
  );
  const gate = new RedisGateStore(redis, keyspace.gate);
  const epoch = await eventually('the gate', async () => (await gate.read())?.epoch);
  await gate.warm(epoch);
  const promoted = await connectRedis(replica.url, { name: 'test' });
  closing.push(() => promoted.disconnect());
  await eventually('the replica has it', async () => (await promoted.hget(keyspace.gate, 'state')) === 'WARM');
  await eventually('every cell is noted', async () =>
    (await promoted.hmget(keyspace.gate, 'cell:0', 'cell:1', 'cell:2', 'cell:3')).every((one) => one !== null),
  );
  redis.disconnect();
  agent.seen.events.length = 0;
  master.process?.kill('SIGKILL');
  // A Sentinel closes the connections of a server that it promotes.
  const isPromoted = async (): Promise<boolean> => {
    const asking = await connectRedis(replica.url, { name: 'test' }).catch(() => undefined);
    const info = await asking?.info('replication').catch(() => '');
    asking?.disconnect();
    return info?.includes('role:master') === true;
  };
  await eventually('promoted', isPromoted, 30_000);
  const atMs = performance.now();
  await eventually('REPLAY', () => agent.seen.events.includes('REPLAY'), 30_000);
  t.diagnostic(`REPLAY ${Math.round(performance.now() - atMs)} ms after the promotion`);
  assert.deepEqual(agent.seen.events, ['away', 'connected', 'REPLAY']);
  const now = await connectRedis(replica.url, { name: 'test' });
  closing.push(() => now.disconnect());
  const stands = await new RedisGateStore(now, keyspace.gate).read();
  assert.deepEqual([stands?.epoch, stands?.state], [epoch, 'WARM']);
});

test('Sentinels that do not know the master, or are away, are a Redis that is away', async () => {
  const wrong = { sentinels: [sentinel.url], master: 'redis://nobody' };
  await assert.rejects(connectRegion(wrong, { name: 'test' }), { code: 'REDIS_UNREACHABLE' });
  const away = { sentinels: ['redis://127.0.0.1:1'], master: 'redis://shop' };
  await assert.rejects(connectRegion(away, { name: 'test' }), { code: 'REDIS_UNREACHABLE' });
});
