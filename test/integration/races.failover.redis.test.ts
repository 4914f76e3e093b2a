import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { StoppedReaders } from '../support/race-cache.ts';
import { NONE, RaceStage, type StaleCount } from '../support/race-stage.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { stopProcess } from '../support/stop-process.ts';

// A replica of Redis that missed the last writes is promoted: evictions that had been applied are undone, leases that were voided stand again.
const ROWS = 20;
const CELLS = [0, 1];
let race: RaceStage;
let proxy: TcpProxy;
let master: RedisServer;
let next: RedisServer;
const started: RedisServer[] = [];
const clients: Redis[] = [];

before(async () => {
  race = await RaceStage.open({
    through: async (port) => {
      // A master takes another replication id with its first replica, so that one is there before the agent meets it.
      next = await startReplica(port);
      proxy = await startTcpProxy({ host: '127.0.0.1', port });
      return proxy.port;
    },
  });
  master = race.stage.cache;
});
after(async () => {
  if (race !== undefined) process.kill(race.agentPid, 'SIGCONT');
  for (const client of clients) client.disconnect();
  await race?.close();
  await proxy?.close();
  await Promise.all(started.map((server) => server.stop()));
});

function clientOf(server: RedisServer): Redis {
  const client = new Redis(server.url);
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

async function startReplica(masterPort: number): Promise<RedisServer> {
  const server = await startRedis();
  started.push(server);
  const replica = clientOf(server);
  await replica.replicaof('127.0.0.1', masterPort);
  await eventually('the replica follows', async () => (await replica.info('replication')).includes('link_status:up'));
  return server;
}

const offsets = (redis: Redis): Promise<number[]> =>
  Promise.all(CELLS.map(async (cell) => Number(await redis.hget(race.keyspace.record(cell), 'offset'))));

/**
 * Half of the keys hold values, for the other half readers have loaded and stand before their store. Then the replica is cut off, all rows change and are
 * evicted on the master, and the replica takes its place. `keepsPosition`: with the position of the master, as if that were kept elsewhere than beside the
 * effect.
 */
async function failOver(keepsPosition: boolean): Promise<StaleCount> {
  const ids = await race.rows(ROWS);
  const [cached, loading] = [ids.slice(0, ROWS / 2), ids.slice(ROWS / 2)];
  const [before, promoted] = [clientOf(master), clientOf(next)];
  const { cache: filler } = await race.cache();
  await Promise.all(cached.map((id) => filler.family('user').get({ id })));
  const readers = new StoppedReaders();
  const { cache } = await race.cache({ store: (store) => readers.wrap(store) });
  const reads = loading.map((id) => cache.family('user').get({ id }));
  await eventually('every reader has loaded', () => readers.stopped === loading.length);
  await eventually('the replica has values and leases', async () => {
    const kinds = (await race.slots('user', ids, promoted)).map(({ kind }) => kind);
    return (
      kinds.filter((kind) => kind === 'value').length === 10 && kinds.filter((kind) => kind === 'lease').length === 10
    );
  });
  await promoted.replicaof('NO', 'ONE');
  await race.update('users', ids);
  await eventually('the master has evicted all', async () => (await race.slots('user', ids, before)).length === 0);
  assert.equal((await race.slots('user', ids, promoted)).length, ROWS, 'the replica has missed it');
  const reached = await offsets(before);
  if (keepsPosition)
    for (const cell of CELLS) {
      const record = await before.hgetall(race.keyspace.record(cell));
      await promoted.hset(race.keyspace.record(cell), record);
    }
  // The agent is late: readers find the promoted server as it is, with the leases that had been voided, and store.
  await stopProcess(race.agentPid);
  await proxy.retarget({ host: '127.0.0.1', port: next.port });
  await master.stop();
  master = next;
  await eventually('the client is connected again', async () => {
    const users = cache.family<{ name: string }>('user');
    return (await users.peek({ id: cached[0] ?? 0 }).catch(() => null))?.name === 'old';
  });
  readers.goOn();
  await Promise.all(reads);
  assert.equal(cache.stats().stored, loading.length, 'what is lost cannot be compared');
  process.kill(race.agentPid, 'SIGCONT');
  await eventually('the agent has gone on', async () => {
    const now = await offsets(promoted);
    return now.every((offset, cell) => offset > (reached[cell] ?? 0));
  });
  next = await startReplica(master.port);
  return race.stale('user', ids);
}

test('a Redis that comes back without the last evictions is brought up to date, and nothing older stays', async () => {
  assert.deepEqual(await failOver(false), NONE);
});

test('were the position kept elsewhere than beside the effect, the undone evictions would stay undone', async () => {
  const { stored, served } = await failOver(true);
  assert.deepEqual({ stored, served }, { stored: ROWS, served: ROWS });
});
