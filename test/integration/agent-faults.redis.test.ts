import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { AgentPorts } from '../../src/agent/agent-ports.ts';
import type { LogReader } from '../../src/agent/from-log.ts';
import type { RegionStore } from '../../src/agent/region-store.ts';
import { readiness } from '../../src/bin/agent-observer.ts';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { appendTo, startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';

const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: 1, clustered: false });
let servers: RedisServer[] = [];
let clients: RedisConnection[] = [];
let log: MemoryLog;

before(async () => {
  servers = await Promise.all([startRedis(), startRedis()]);
  clients = await Promise.all(servers.map(({ url }) => connectRedis(url, { name: 'test' })));
});

beforeEach(async () => {
  for (const client of clients) await client.flushall();
  log = new MemoryLog(1);
});

after(async () => {
  for (const client of clients) client.disconnect();
  for (const server of servers) await server.stop();
});

const append = (from: number, to: number, asOfMs: number, epoch = 1): void =>
  appendTo(log, { from, to, asOfMs, epoch });
const startAgent = (more: Partial<AgentPorts> = {}) => startAgentOn(log, { connectStore: () => connect(0), ...more });

/** The log in memory, with bounds that are told otherwise. */
function withBounds(bounds: (real: LogReader) => ReturnType<LogReader['bounds']>): AgentPorts['openLog'] {
  return (handler) => {
    const real = log.openReader(handler);
    return Promise.resolve({
      partitions: real.partitions,
      ended: real.ended,
      take: (partition, from) => real.take(partition, from),
      release: (partition) => real.release(partition),
      pause: (partition) => real.pause(partition),
      resume: (partition) => real.resume(partition),
      applied: () => undefined,
      bounds: () => bounds(real),
      close: () => real.close(),
    });
  };
}

const connect = (server: number): Promise<RegionStore> =>
  connectRegionStore(servers[server]?.url ?? '', 'agent', keyspace);
const offset = async (server = 0): Promise<string | null> =>
  (await clients[server]?.hget(keyspace.record(0), 'offset')) ?? null;

test('a cell that is taken over tells at once how stale it is, and a late record of a former epoch does not hide it', async () => {
  append(0, 10, 1_000_000.25, 2);
  const first = startAgent();
  await eventually('applied', async () => (await offset()) === '0');
  append(0, 5, 500, 1);
  await eventually('applied', async () => (await offset()) === '1');
  await first.stop();
  assert.equal(await clients[0]?.hget(keyspace.record(0), 'asOf'), '1000000.25');
  const second = startAgent();
  await eventually('it owns the cell', () => (second.seen.progress?.watermark ?? null) !== null);
  assert.ok((second.seen.progress?.stalenessMs ?? 0) > 60_000, 'stale, though nothing has arrived');
  await second.stop();
});

test('a log that is away is not a Redis that is away: the cell waits, and goes on', async () => {
  append(0, 10, 1);
  let refusals = 0;
  const agent = startAgent({
    openLog: withBounds((real) =>
      (refusals += 1) > 2 ? real.bounds() : Promise.reject(new BusError('KAFKA_UNREACHABLE', 'away')),
    ),
  });
  await eventually('applied', async () => (await offset()) === '0');
  assert.deepEqual([agent.seen.away, agent.seen.connected], [[], 1]);
  await agent.stop();
});

test('a log that hangs, and never tells its bounds, holds up neither the reports nor the end', async () => {
  append(0, 10, 1_000_000);
  let isHanging = false;
  const agent = startAgent({
    openLog: withBounds((real) => (isHanging ? new Promise(() => undefined) : real.bounds())),
  });
  await eventually('it reports', () => agent.seen.progress?.watermark === lsn(10));
  isHanging = true;
  append(10, 20, 1_000_001);
  await eventually('it reports what came since', () => agent.seen.progress?.watermark === lsn(20));
  await agent.stop();
  const waiting = startAgent({ openLog: withBounds(() => new Promise(() => undefined)) });
  await eventually('it owns the cell, and asks', () => waiting.seen.progress?.owned === 1);
  await waiting.stop();
  assert.equal(await clients[0]?.hget(keyspace.record(0), 'owner'), '', 'given back');
});

test('what comes while a quiet log is asked for its bounds, and does not tell them, is applied', async () => {
  append(0, 10, 1);
  let isHanging = false;
  let hung = 0;
  const agent = startAgent({
    openLog: withBounds((real) => {
      if (!isHanging) return real.bounds();
      hung += 1;
      return new Promise(() => undefined);
    }),
  });
  await eventually('applied', async () => (await offset()) === '0');
  isHanging = true;
  await eventually('the lag is asked for, and the quiet cell asks', () => hung >= 2);
  append(10, 20, 1);
  await eventually('applied all the same', async () => (await offset()) === '1');
  await agent.stop();
});

test('a server that takes no writes never counts as connected', async () => {
  await clients[1]?.replicaof('127.0.0.1', servers[0]?.port ?? 0);
  append(0, 10, 1);
  let tries = 0;
  const agent = startAgent({ connectStore: () => connect((tries += 1) > 5 ? 0 : 1) });
  await eventually('tried often', () => tries > 3);
  assert.equal(agent.seen.connected, 0);
  await eventually('connected to the master', () => agent.seen.connected === 1);
  await agent.stop();
  await clients[1]?.replicaof('NO', 'ONE');
});

test('an unrelated server stays distrusted until its cells have begun anew, though the connection breaks before', async () => {
  append(0, 10, 1);
  // Both servers hold a cell of the same bus, whole and within the log.
  for (const server of [0, 1]) {
    const one = startAgent({ connectStore: () => connect(server) });
    await eventually('applied', async () => (await offset(server)) === '0');
    await one.stop();
  }
  let tries = 0;
  let breakFirst: (() => Promise<void>) | undefined;
  const agent = startAgent({
    connectStore: async () => {
      tries += 1;
      const store = await connect(tries === 1 ? 0 : 1);
      if (tries === 1) breakFirst = () => store.close();
      // The second connection breaks after the server has said who it is.
      if (tries === 2) {
        const identities = store.identities.bind(store);
        store.identities = async () => {
          const answer = await identities();
          await store.close();
          return answer;
        };
      }
      return store;
    },
  });
  await eventually('it works on the first', () => (agent.seen.progress?.owned ?? 0) === 1);
  await breakFirst?.();
  await eventually('a new epoch', () => agent.seen.epochs.includes('unrelated server'));
  assert.ok(tries >= 3);
  await agent.stop();
});

test('a cell that is taken over while its log is away is as stale as what is stored, and its agent not ready', async () => {
  append(0, 10, 1_000_000);
  const first = startAgent();
  await eventually('applied', async () => (await offset()) === '0');
  await first.stop();
  const away = new BusError('KAFKA_UNREACHABLE', 'gone');
  const second = startAgent({ openLog: withBounds(() => Promise.reject(away)) });
  await eventually('it owns the cell', () => second.seen.progress?.owned === 1);
  await eventually('it tells', () => (second.seen.progress?.stalenessMs ?? 0) > 60_000);
  assert.equal(second.seen.progress?.watermark, null, 'nothing is applied');
  assert.match(JSON.stringify(readiness({ isConnected: true, progress: second.seen.progress })), /s behind/);
  await second.stop();
});

test('how long Redis has been away is told while it is, though it never comes back', async () => {
  let isAway = false;
  const agent = startAgent({
    connectStore: () => (isAway ? Promise.reject(new BusError('REDIS_UNREACHABLE', 'gone')) : connect(0)),
  });
  await eventually('connected', () => agent.seen.connected === 1);
  const before = agent.seen.awaySeconds;
  isAway = true;
  await clients[0]?.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually('it counts', () => agent.seen.awaySeconds > before);
  const later = agent.seen.awaySeconds;
  await eventually('it counts on', () => agent.seen.awaySeconds > later);
  assert.equal(agent.seen.connected, 1);
  await agent.stop();
});

test('an agent that still waits for its log ends without a failure when it is asked to', async () => {
  const refused = Promise.withResolvers<LogReader>();
  const agent = startAgent({ openLog: () => refused.promise });
  const stopped = agent.stop();
  refused.reject(new BusError('KAFKA_UNREACHABLE', 'away'));
  await stopped;
});
