import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { readiness } from '../../src/bin/agent-observer.ts';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { createStreams, idOf, streamKeys } from '../../src/drivers/redis/streams.ts';
import { openStreamsReader } from '../../src/drivers/redis/streams-reader.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { appendTo, recordText, startAgentOn } from '../support/agent-in-process.ts';
import { USER } from '../support/bus-config.ts';
import { eventually } from '../support/eventually.ts';

const CELLS = 2;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: false });
const config = { kind: 'redis-streams' as const, url: '', partitions: CELLS, recordsMax: 1000 };
let server: RedisServer;
let redis: RedisConnection;
let log: MemoryLog;

before(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url, { name: 'test' });
});

beforeEach(async () => {
  await redis.flushall();
  log = new MemoryLog(CELLS);
});

after(async () => {
  redis?.disconnect();
  await server?.stop();
});

const running: InProcess[] = [];
// One that a failed test has left would hold the process open, and the cells of the next.
afterEach(() => Promise.all(running.splice(0).map((agent) => agent.stop())));

const startAgent = (more: Partial<Parameters<typeof startAgentOn>[1]> = {}) => {
  const agent = startAgentOn(log, { connectStore: () => connectRegionStore(server.url, 'agent', keyspace), ...more });
  running.push(agent);
  return agent;
};
const stored = async (cell: number, field = 'offset'): Promise<string | null> =>
  redis.hget(keyspace.record(cell), field);
const epoch = (cell: number): Promise<string | null> => redis.hget(keyspace.state(cell), 'epoch');
type InProcess = ReturnType<typeof startAgentOn>;
const ready = ({ seen }: InProcess): boolean => readiness({ isConnected: true, progress: seen.progress }).ready;

/** Redis shows a new epoch before the agent has heard the answer. */
const told = ({ seen }: InProcess, reason: string): Promise<unknown> =>
  eventually(`the agent tells of an epoch: ${reason}`, () => seen.epochs.at(-1) === reason);

/** A record of both cells, each after the one before. */
function appendBoth(turn: number, more: { readonly rules?: Readonly<Record<string, string>> } = {}): void {
  for (const partition of [0, 1])
    appendTo(log, { partition, from: turn * 10, to: turn * 10 + 10, asOfMs: Date.now(), ...more });
}

async function untilApplied(offset: number, cells = [0, 1]): Promise<void> {
  for (const cell of cells)
    await eventually(`cell ${cell} has applied ${offset}`, async () => (await stored(cell)) === String(offset));
}

for (const key of ['record', 'state', 'sweeps'] as const)
  test(`a ${key} that another program overwrote stops its cell alone, and the cell begins anew when the key is deleted`, async () => {
    appendBoth(0);
    const agent = startAgent();
    await untilApplied(0);
    await eventually('ready', () => ready(agent));
    const watermark = await stored(1, 'watermark');
    await redis.set(keyspace[key](1), 'of another program');
    await eventually('an alarm, and not ready', () => agent.seen.stopped.length === 1 && !ready(agent));
    appendBoth(1);
    await untilApplied(1, [0]);
    assert.match(agent.seen.stopped[0] ?? '', /^1 .*WRONGTYPE/);
    if (key !== 'record') assert.deepEqual([await stored(1), await stored(1, 'watermark')], ['0', watermark]);
    assert.deepEqual([agent.seen.away, agent.seen.connected, agent.seen.progress?.owned], [[], 1, 1]);
    await redis.del(keyspace[key](1));
    await untilApplied(1);
    await eventually('ready again', () => ready(agent));
    assert.equal(agent.seen.stopped.length, 1, 'told once');
    await agent.stop();
  });

test('a record of an unknown version stops its cell: not ready, the watermark stands, and the cell is given back', async () => {
  appendBoth(0);
  const agent = startAgent();
  await untilApplied(0);
  const before = [await stored(1), await stored(1, 'watermark')];
  log.append([{ partition: 1, value: recordText({ from: 10, to: 20 }).replace('"v":1', '"v":2') }]);
  appendBoth(1);
  await untilApplied(1, [0]);
  await eventually('not ready', () => agent.seen.stopped.length === 1 && !ready(agent));
  await eventually('given back', async () => (await stored(1, 'owner')) === '');
  assert.deepEqual([await stored(1), await stored(1, 'watermark')], before);
  assert.match(agent.seen.stopped[0] ?? '', /^1 .*Version 1 is known/);
  assert.equal(agent.seen.deadLetters, 0, 'neither skipped nor widened');
  await agent.stop();
});

test('a record that cannot be read makes its cell old, values for plain readers too, and no other', async () => {
  appendBoth(0, { rules: { user: `${USER.ruleHash} integer` } });
  const agent = startAgent();
  await untilApplied(0);
  await eventually('no sweep is owed', async () => (await redis.exists(keyspace.sweeps(0), keyspace.sweeps(1))) === 0);
  const before = [await epoch(0), await epoch(1)];
  // user:1 and user:6 are in cell 1 of two, the others in cell 0.
  const keys = ['shop:user:1', 'shop:user:2', 'shop:user:3', 'shop:user:4', 'shop:user:5', 'shop:user:6'];
  for (const key of keys) await redis.set(key, 'v');
  log.append([{ partition: 1, value: 'no record' }]);
  appendBoth(1);
  await eventually('a new epoch of the cell', async () => (await epoch(1)) !== before[1]);
  await eventually('swept', async () => (await redis.exists(keyspace.sweeps(1))) === 0);
  assert.equal(await epoch(0), before[0]);
  await told(agent, 'unreadable');
  assert.equal(agent.seen.deadLetters, 1);
  const left = await redis.exists(...keys);
  assert.ok(left > 0 && left < keys.length, `the values of one cell are gone: ${left} left`);
  await agent.stop();
});

test('a sweep that is left for an agent with another file is done again where the Redis may be another', async () => {
  appendBoth(0, { rules: { user: 'ffffffffffffffff integer' } });
  startAgent();
  await untilApplied(0);
  await eventually('only the family’s own sweep is left', async () => {
    const left = await Promise.all([0, 1].map((cell) => redis.hkeys(keyspace.sweeps(cell))));
    return left.flat().join() === 'f:user,f:user';
  });
  appendBoth(1);
  await untilApplied(1);
  // user:1 is in cell 1.
  const swept = () => eventually('swept', async () => (await redis.exists('shop:user:1')) === 0);
  await redis.set('shop:user:1', 'v');
  await swept();
  // As a copy would be that lacks the last record, and what the sweep has unlinked.
  await redis.multi().set('shop:user:1', 'v').hset(keyspace.record(1), 'offset', '0').exec();
  await untilApplied(1);
  await swept();
});

test('a position beyond the end of the log begins a new epoch: at take-over, and in a log that has lost its tail meanwhile', async () => {
  for (const turn of [0, 1, 2, 3]) appendBoth(turn);
  const first = startAgent();
  await untilApplied(3);
  const begun = await epoch(1);
  log.loseTail(1, 2);
  await eventually('noticed in silence', async () => (await epoch(1)) !== begun);
  await told(first, 'beyond the log');
  await untilApplied(1, [1]);
  await first.stop();
  log.loseTail(0, 1);
  const second = startAgent();
  await untilApplied(0, [0]);
  assert.deepEqual(second.seen.epochs, ['beyond the log']);
  await second.stop();
});

test('an epoch does not begin with a late record of a former source epoch, unless the log or the server is another', async () => {
  for (const partition of [0, 1]) appendTo(log, { partition, from: 100, to: 110, epoch: 3 });
  const agent = startAgent();
  await untilApplied(0);
  const begun = await epoch(1);
  // The gap is followed by what a relay of the former epoch had still under way.
  log.append([{ partition: 1, value: 'no record' }]);
  appendTo(log, { partition: 1, from: 20, to: 30, epoch: 2 });
  await eventually('the gap is seen', () => agent.seen.deadLetters > 0);
  appendTo(log, { partition: 0, from: 110, to: 120, epoch: 3 });
  await untilApplied(1, [0]);
  assert.equal(await epoch(1), begun, 'it waits for a record of its own epoch');
  appendTo(log, { partition: 1, from: 500, to: 510, epoch: 3 });
  await untilApplied(3, [1]);
  assert.equal(await stored(1, 'floor'), '00000000000001f3');
  assert.deepEqual(agent.seen.epochs, ['cold', 'cold', 'unreadable']);
  // A log that was made anew counts its source epochs from 1.
  log.loseTail(1, 0);
  appendTo(log, { partition: 1, from: 700, to: 710, epoch: 1 });
  await eventually('begun with it', async () => (await stored(1, 'watermark')) === '00000000000002c6');
  await told(agent, 'beyond the log');
  await agent.stop();
});

test('a Redis that is busy with a script, or forgets ours, loses nothing', async () => {
  appendBoth(0);
  const agent = startAgent();
  await untilApplied(0);
  const before = await epoch(0);
  await redis.script('FLUSH');
  appendBoth(1);
  await untilApplied(1);
  assert.deepEqual([agent.seen.away, agent.seen.connected], [[], 1], 'scripts are sent again by themselves');
  await redis.config('SET', 'busy-reply-threshold', '10');
  const busy = await connectRedis(server.url, { name: 'busy', commandTimeoutMs: 60_000 });
  const script = busy.eval('while true do end', 0).catch(() => undefined);
  appendBoth(2);
  await eventually('away', () => agent.seen.away.some((error) => /BUSY/.test(error)));
  await redis.script('KILL');
  await script;
  await untilApplied(2);
  assert.deepEqual([await epoch(0), agent.seen.epochs], [before, ['cold', 'cold']], 'the chain was never broken');
  busy.disconnect();
  await agent.stop();
});

test('a stream that its hard cap has trimmed beyond a region’s position is a gap: a new epoch, while reading and at take-over', async () => {
  const streams = { ...config, url: server.url };
  await createStreams(redis, 'shop', streams);
  const openLog = (handler: Parameters<typeof openStreamsReader>[3]) =>
    openStreamsReader('shop', streams, 'eu', handler);
  /** In one step, so that a reader never sees what is trimmed. */
  const addAndCap = async (first: number, count: number, kept: number): Promise<void> => {
    const steps = redis.multi();
    for (const partition of [0, 1]) {
      const key = streamKeys('shop').stream(partition);
      for (let n = first; n < first + count; n++)
        steps.xadd(key, idOf(n), 'r', recordText({ from: n * 10, to: n * 10 + 10 }));
      steps.xtrim(key, 'MAXLEN', kept);
    }
    await steps.exec();
  };
  await addAndCap(0, 3, 10);
  const first = startAgent({ openLog });
  await untilApplied(2);
  await addAndCap(3, 20, 5);
  await untilApplied(22);
  assert.deepEqual(first.seen.epochs, ['cold', 'cold', 'offset gap', 'offset gap']);
  await first.stop();
  await addAndCap(23, 20, 5);
  const second = startAgent({ openLog });
  await untilApplied(42);
  assert.deepEqual(second.seen.epochs, ['before the log', 'before the log']);
  await second.stop();
});
