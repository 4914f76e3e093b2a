import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import type { GateStore, StoredGate } from '../../src/protocol/region-gate.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';
import { startFedLog } from '../support/fed-log.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const CELLS = 4;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: false });
const closing: (() => unknown)[] = [];
let server: RedisServer;
let redis: RedisConnection;
let gate: GateStore;
let proxy: Awaited<ReturnType<typeof startTcpProxy>>;
let fed: ReturnType<typeof startFedLog>;
type TestAgent = ReturnType<typeof startAgentOn>;

before(async () => {
  server = await startRedis();
  proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
});
after(async () => {
  await proxy?.close();
  await server?.stop();
});
beforeEach(async () => {
  redis = await connectRedis(server.url, { name: 'test' });
  await redis.flushall();
  gate = new RedisGateStore(redis, keyspace.gate);
  await proxy.retarget({ host: '127.0.0.1', port: server.port });
  fed = startFedLog(CELLS);
  closing.push(
    () => fed.stop(),
    () => redis.disconnect(),
  );
});
afterEach(async () => {
  for (const one of closing.splice(0).toReversed()) await one();
});

/** An agent by way of the proxy, or straight to a server. */
function startAgent(url = `redis://127.0.0.1:${proxy.port}`): TestAgent {
  const agent = startAgentOn(fed.log, { connectStore: () => connectRegionStore(url, 'agent', keyspace) });
  closing.push(() => agent.stop());
  return agent;
}

const epochsOf = async (at = redis): Promise<string[]> =>
  (await readRegionView(at, keyspace)).map(({ epoch }) => epoch ?? '');

/** Every cell stands, and the gate knows it. */
async function untilNoted(at = redis): Promise<void> {
  await eventually('every cell is noted', async () => {
    const noted = await at.hmget(keyspace.gate, ...Array.from({ length: CELLS }, (_, cell) => `cell:${cell}`));
    const epochs = await epochsOf(at);
    return epochs.every((epoch, cell) => epoch !== '' && epoch === noted[cell]);
  });
}

/** A region that is at work, and WARM. */
async function warmed(...agents: readonly TestAgent[]): Promise<StoredGate> {
  await untilNoted();
  const stands = await gate.read();
  assert.ok(stands !== null);
  await gate.report(stands.epoch, 0.97);
  await gate.warm(stands.epoch);
  const warm = await gate.read();
  assert.ok(warm !== null);
  for (const { seen } of agents) {
    await eventually('the agent sees it', () => seen.gate?.state === 'WARM');
    seen.events.length = 0;
  }
  return warm;
}

const untilCold = (warm: StoredGate, store = gate): Promise<StoredGate> =>
  eventually('COLD, under another epoch', async () => {
    const now = await store.read();
    return now !== null && now.epoch !== warm.epoch && now.state === 'COLD' ? now : undefined;
  });

/** Nothing has come of it: two further looks of the agent find all as it was. */
async function assertUnmoved(warm: StoredGate, agent: TestAgent): Promise<void> {
  for (let look = 0; look < 2; look++) {
    agent.seen.gate = undefined;
    await eventually('the agent has looked', () => agent.seen.gate !== undefined);
  }
  await untilNoted();
  assert.deepEqual(await gate.read(), warm);
  assert.deepEqual(
    agent.seen.events.filter((event) => event !== 'away' && event !== 'connected'),
    [],
  );
}

test('a region that begins is COLD, under one epoch, however many agents find it and although all its cells begin', async () => {
  const agents = [startAgent(), startAgent()];
  await untilNoted();
  const stands = await gate.read();
  assert.deepEqual([stands?.state, stands?.share], ['COLD', 0]);
  const all = agents.flatMap(({ seen }) => seen.events).filter((event) => event !== 'connected');
  assert.deepEqual(all.toSorted(), ['COLD', `gate ${stands?.epoch}: no gate was there`]);
});

test('a Redis that is killed and comes back empty is COLD, as soon as it is there', async (t) => {
  const agent = startAgent();
  const warm = await warmed(agent);
  server.process?.kill('SIGKILL');
  await eventually('it is away', () => agent.seen.events.includes('away'));
  redis.disconnect();
  const { port } = server;
  await server.stop();
  server = await startRedis({ port });
  const backAtMs = performance.now();
  redis = await connectRedis(server.url, { name: 'test' });
  gate = new RedisGateStore(redis, keyspace.gate);
  const cold = await untilCold(warm);
  t.diagnostic(`COLD ${Math.round(performance.now() - backAtMs)} ms after Redis was back`);
  await eventually('the agent tells of it', () => agent.seen.events.includes('COLD'));
  assert.deepEqual(agent.seen.events, ['away', `gate ${cold.epoch}: no gate was there`, 'connected', 'COLD']);
  await untilNoted();
  assert.equal((await gate.read())?.epoch, cold.epoch, 'the cells that began belong to it');
});

test('a Redis that is emptied while agents work on it is COLD, once, whoever finds it', async (t) => {
  const agents = [startAgent(), startAgent()];
  const warm = await warmed(...agents);
  const atMs = performance.now();
  await redis.flushall();
  const cold = await untilCold(warm);
  t.diagnostic(`COLD ${Math.round(performance.now() - atMs)} ms after FLUSHALL`);
  await untilNoted();
  await eventually('both see it', () => agents.every(({ seen }) => seen.gate?.epoch === cold.epoch));
  assert.deepEqual(agents.flatMap(({ seen }) => seen.events).toSorted(), [
    'COLD',
    `gate ${cold.epoch}: no gate was there`,
  ]);
  assert.equal((await gate.read())?.epoch, cold.epoch, 'one epoch for both');
});

test('a promoted replica is a REPLAY: its gate stands, with its values', async (t) => {
  const replica = await startRedis();
  closing.push(() => replica.stop());
  const promoted = await connectRedis(replica.url, { name: 'test' });
  closing.push(() => promoted.disconnect());
  await promoted.replicaof('127.0.0.1', server.port);
  const agent = startAgent();
  const warm = await warmed(agent);
  await eventually('the replica has it', async () => (await promoted.hget(keyspace.gate, 'state')) === 'WARM');
  await promoted.replicaof('NO', 'ONE');
  const atMs = performance.now();
  await proxy.retarget({ host: '127.0.0.1', port: replica.port });
  await eventually('REPLAY', () => agent.seen.events.includes('REPLAY'));
  t.diagnostic(`REPLAY ${Math.round(performance.now() - atMs)} ms after the address led to it`);
  await untilNoted(promoted);
  assert.deepEqual(agent.seen.events, ['away', 'connected', 'REPLAY']);
  assert.deepEqual(await new RedisGateStore(promoted, keyspace.gate).read(), warm);
});

test('a stranger with an old gate and old cells is a DISTRUST: they begin anew, and with half of them the gate', async (t) => {
  const stranger = await startRedis();
  closing.push(() => stranger.stop());
  const other = await connectRedis(stranger.url, { name: 'test' });
  closing.push(() => other.disconnect());
  const otherGate = new RedisGateStore(other, keyspace.gate);
  const former = startAgent(stranger.url);
  await untilNoted(other);
  await former.stop();
  const old = await otherGate.read();
  assert.ok(old !== null);
  await otherGate.warm(old.epoch);
  const agent = startAgent();
  await warmed(agent);
  const oldEpochs = await epochsOf(other);
  const atMs = performance.now();
  await proxy.retarget({ host: '127.0.0.1', port: stranger.port });
  const cold = await untilCold(old, otherGate);
  t.diagnostic(`COLD ${Math.round(performance.now() - atMs)} ms after the address led to a stranger`);
  await eventually('the agent tells of it', () => agent.seen.events.length >= 4);
  assert.deepEqual(agent.seen.events, [
    'away',
    'connected',
    'DISTRUST',
    `gate ${cold.epoch}: half of the cells began anew`,
  ]);
  await untilNoted(other);
  assert.deepEqual(
    (await epochsOf(other)).filter((epoch) => oldEpochs.includes(epoch)),
    [],
  );
  assert.equal((await otherGate.read())?.epoch, cold.epoch);
});

test('a connection that is cut, and a Redis that is frozen for a while, change nothing', async () => {
  const agent = startAgent();
  const warm = await warmed(agent);
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually('it is back', () => agent.seen.events.includes('connected'));
  await assertUnmoved(warm, agent);
  agent.seen.events.length = 0;
  server.process?.kill('SIGSTOP');
  await eventually('it is away', () => agent.seen.events.includes('away'), 30_000);
  server.process?.kill('SIGCONT');
  await eventually('it is back', () => agent.seen.events.includes('connected'), 30_000);
  await assertUnmoved(warm, agent);
});

test('an agent that ends, another that begins, and cells that change hands change nothing', async () => {
  const first = startAgent();
  const warm = await warmed(first);
  const second = startAgent();
  await eventually('they share', () => first.seen.progress?.owned === 2 && second.seen.progress?.owned === 2);
  await assertUnmoved(warm, second);
  await first.stop();
  await eventually('the other has all', () => second.seen.progress?.owned === CELLS);
  await assertUnmoved(warm, second);
});

test('with less than half of its cells begun anew a region stays WARM; with half of them it is COLD', async () => {
  const agent = startAgent();
  const warm = await warmed(agent);
  const [first] = await epochsOf();
  await redis.del(keyspace.state(0), keyspace.record(0));
  await eventually('the cell begins anew', async () => {
    const [now] = await epochsOf();
    return now !== '' && now !== first;
  });
  await assertUnmoved(warm, agent);
  await redis.del(keyspace.state(1), keyspace.record(1));
  const cold = await untilCold(warm);
  assert.equal(cold.reason, 'half of the cells began anew');
  await untilNoted();
  assert.equal((await gate.read())?.epoch, cold.epoch);
});

test('a gate’s key that another program has taken is told of, and the cells go on', async () => {
  await redis.set(keyspace.gate, 'another’s');
  const agent = startAgent();
  await eventually('the cells have begun', async () => (await epochsOf()).every((epoch) => epoch !== ''));
  await eventually('it is told of', () => agent.seen.events.includes('REDIS_WRONG_TYPE'));
  assert.deepEqual(agent.seen.events, ['REDIS_WRONG_TYPE', 'connected']);
  await redis.del(keyspace.gate);
  await eventually('the gate is there', async () => (await gate.read()) !== null);
});
