import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { createKeyspace, type Keyspace } from '../../src/protocol/keyspace.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { metricOf, openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';
import { startSteadyLoad } from '../support/steady-load.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { stopProcess } from '../support/stop-process.ts';

const USERS = 300;
let stage: Stage;
let keyspace: Keyspace;

before(async () => {
  stage = await openStage({ log: 'redis-streams', schema: SHOP, families: SHOP_FAMILIES, partitions: 12 });
  keyspace = createKeyspace({ bus: stage.config.bus, prefix: '', cells: stage.partitions, clustered: false });
  await stage.sql.query(`insert into users select n, n % 10, 'n' from generate_series(1, ${USERS}) n`);
  await stage.startRelay('relay');
});

after(() => stage.close());

async function fill(redis = stage.redis): Promise<void> {
  for (let id = 1; id <= USERS; id++) await redis.set(`user:${id}`, 'old', 'EX', 600);
}

function left(redis = stage.redis): Promise<number> {
  return redis.exists(...Array.from({ length: USERS }, (_, i) => `user:${i + 1}`));
}

async function cells(
  redis = stage.redis,
): Promise<{ epochs: string[]; owners: Set<string>; owned: number; steady: boolean }> {
  const view = await readRegionView(redis, keyspace);
  const sweeps = await redis.exists(...view.map(({ cell }) => keyspace.sweeps(cell)));
  return {
    epochs: view.map((cell) => cell.epoch ?? ''),
    owners: new Set(view.flatMap((cell) => cell.owner ?? [])),
    owned: view.filter((cell) => cell.owner !== undefined).length,
    steady: sweeps === 0 && view.every((cell) => cell.epoch !== undefined && cell.watermark !== undefined),
  };
}

async function updateAll(name: string): Promise<void> {
  await stage.sql.query('update users set name = $1', [name]);
}

test('an agent killed between the apply script and its answer loses nothing, and repeats harmlessly', async (t) => {
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: stage.cache.port });
  t.after(() => proxy.close());
  const agent = await stage.startAgent(
    'agent-behind-proxy',
    await stage.withUrls((text) => text.replace(`redis: ${stage.cache.url}`, `redis: redis://127.0.0.1:${proxy.port}`)),
  );
  await eventually('every cell has begun', async () => (await cells()).steady);
  const { epochs } = await cells();
  await fill();
  // The script that carries a user's key is the first whose answer does not come back.
  proxy.swallowRepliesFrom('user:');
  await updateAll('a');
  await eventually(
    'scripts were run that nobody was told of',
    async () => proxy.swallowed > 0 && (await left()) < USERS,
  );
  await stage.kill(agent);
  const next = await stage.startAgent('agent-after-kill');
  await eventually(
    'it owns every cell',
    async () => (await metricOf(next.httpPort, 'afterwrite_agent_cells_owned')) === 12,
  );
  await eventually('every key is gone', async () => (await left()) === 0);
  assert.deepEqual((await cells()).epochs, epochs, 'the chain was never broken');
  await next.stop();
  assert.equal((await cells()).owned, 0, 'a drained agent gives every cell back');
});

test('agents share the cells; one that is killed is replaced, one that is added gets its share, and no eviction is missed', async (t) => {
  const first = await stage.startAgent('agent-1');
  const second = await stage.startAgent('agent-2');
  const third = await stage.startAgent('agent-3');
  const share = async (port: number): Promise<number | undefined> => metricOf(port, 'afterwrite_agent_cells_owned');
  await eventually('equal shares', async () =>
    (await Promise.all([first, second, third].map((one) => share(one.httpPort)))).every((n) => n === 4),
  );
  const load = startSteadyLoad(stage, USERS);
  await eventually('the load runs', () => load.evicted() > 100);
  await stage.kill(second);
  const killedAt = performance.now();
  await eventually(
    'the others have all cells',
    async () => ((await share(first.httpPort)) ?? 0) + ((await share(third.httpPort)) ?? 0) === 12,
  );
  t.diagnostic(`all cells owned again ${Math.round(performance.now() - killedAt)} ms after kill -9`);
  const killGap = load.longestGapMs();
  load.reset();
  const fourth = await stage.startAgent('agent-4');
  await eventually('equal shares again', async () =>
    (await Promise.all([first, third, fourth].map((one) => share(one.httpPort)))).every((n) => n === 4),
  );
  await first.stop();
  await eventually(
    'the rest have all cells',
    async () => ((await share(third.httpPort)) ?? 0) + ((await share(fourth.httpPort)) ?? 0) === 12,
  );
  const sofar = load.evicted();
  await eventually('the load goes on', () => load.evicted() > sofar + 100);
  const rolloutGap = load.longestGapMs();
  const missed = await load.stop();
  t.diagnostic(
    `longest gap of any key: ${Math.round(killGap)} ms around kill -9, ${Math.round(rolloutGap)} ms around an agent added and one drained`,
  );
  assert.deepEqual(missed, [], missed.length === 0 ? undefined : await whatIsKnown(missed));
  await third.stop();
  await fourth.stop();
});

/** What the region and the agents say of keys that were missed. */
async function whatIsKnown(keys: readonly string[]): Promise<string> {
  const view = await readRegionView(stage.redis, keyspace);
  const wanted = keys.map((key) => view[cellOf(hashKey(key), stage.partitions)]);
  const print = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString(16) : value);
  return `${keys.join(' ')}\n${JSON.stringify(wanted, print)}\n${await stage.logTails(40)}`;
}

test('a Redis that was emptied begins a new epoch, with a floor, in every cell', async () => {
  const agent = await stage.startAgent('agent-flush');
  await eventually('steady', async () => (await cells()).steady);
  const { epochs } = await cells();
  await stage.redis.flushall();
  const begun = await eventually('new epochs', async () => {
    const now = await cells();
    return now.steady && now.epochs.every((epoch, i) => epoch !== '' && epoch !== epochs[i]) ? now.epochs : undefined;
  });
  assert.equal(new Set([...begun, ...epochs]).size, 24, 'no name is used twice');
  assert.notEqual(await stage.redis.hget(keyspace.record(0), 'floor'), '0000000000000000');
  await fill();
  await updateAll('after flush');
  await eventually('evictions go on', async () => (await left()) === 0);
  await agent.stop();
});

test('while Redis is away the agent waits, is not ready, and afterwards applies all that came', async () => {
  const agent = await stage.startAgent('agent-away');
  await eventually('steady', async () => (await cells()).steady);
  await fill();
  await stopProcess(stage.cache.process?.pid);
  await updateAll('while away');
  await eventually('not ready', async () => (await fetch(`http://127.0.0.1:${agent.httpPort}/readyz`)).status === 503);
  stage.cache.process?.kill('SIGCONT');
  await eventually('evicted', async () => (await left()) === 0);
  await eventually('ready', async () => (await fetch(`http://127.0.0.1:${agent.httpPort}/readyz`)).status === 200);
  await agent.stop();
});

test('a promoted replica that missed the last evictions gets exactly those again, in the same epochs', async (t) => {
  const replica = await startRedis();
  t.after(() => replica.stop());
  const promoted = await connectRedis(replica.url, { name: 'test' });
  t.after(() => promoted.disconnect());
  await promoted.replicaof('127.0.0.1', stage.cache.port);
  await eventually('in sync', async () => (await promoted.info('replication')).includes('master_link_status:up'));
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: stage.cache.port });
  t.after(() => proxy.close());
  const behindProxy = await stage.withUrls((text) =>
    text.replace(`redis: ${stage.cache.url}`, `redis: redis://127.0.0.1:${proxy.port}`),
  );
  const agent = await stage.startAgent('agent-failover', behindProxy);
  await eventually('steady', async () => (await cells(promoted)).steady);
  await fill();
  await eventually('the replica has the values', async () => (await left(promoted)) === USERS);
  const { epochs } = await cells();
  // The replica stops following; the master goes on evicting; then the replica is the master.
  await promoted.replicaof('NO', 'ONE');
  await updateAll('before failover');
  await eventually('the old master has evicted', async () => (await left()) === 0);
  assert.equal(await left(promoted), USERS, 'the promoted replica missed the evictions');
  await proxy.retarget({ host: '127.0.0.1', port: replica.port });
  await eventually('they are evicted again', async () => (await left(promoted)) === 0);
  assert.deepEqual((await cells(promoted)).epochs, epochs, 'replayed, not begun anew');
  await agent.stop();
});
