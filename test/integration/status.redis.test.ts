import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isWhole } from '../../src/cli/commands/status.ts';
import { type BusStatus, readStatus, type RegionStatus, type SourceStatus } from '../../src/cli/status/status.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from '../support/eventually.ts';
import { metricOf, openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';

const PARTITIONED = `
create table public.events (id bigint primary key) partition by range (id);
create table public.events_1 partition of public.events for values from (0) to (10);
create table public.events_2 partition of public.events for values from (10) to (20);
`;
let stage: Stage;

before(async () => {
  stage = await openStage({ log: 'redis-streams', schema: SHOP + PARTITIONED, families: SHOP_FAMILIES });
});

after(() => stage.close());

function read(config = stage.config): Promise<BusStatus> {
  return readStatus(config, Date.now);
}

function sourceOf({ source }: BusStatus): SourceStatus {
  assert.ok(!('error' in source), JSON.stringify(source));
  return source;
}

function regionOf({ regions }: BusStatus): RegionStatus {
  const { eu } = regions;
  assert.ok(eu !== undefined && !('error' in eu), JSON.stringify(eu));
  return eu;
}

test('without a relay and an agent the slot stands alone, and no cell has begun', async () => {
  const status = await read();
  const { relay, slot, unrouted } = sourceOf(status);
  assert.deepEqual([relay, slot?.walStatus, unrouted], [null, 'reserved', []]);
  const { ownedCells, agents, watermark, stalenessMs } = regionOf(status);
  assert.deepEqual([ownedCells, agents, watermark, stalenessMs], [0, 0, null, null]);
  assert.equal(isWhole(status), false);
});

test('relay, slot, log and region are shown as they are, and an agent that is killed owns nothing any more', async () => {
  await stage.startRelay('relay');
  const agent = await stage.startAgent('agent');
  const status = await eventually('the bus is whole', async () => {
    const now = await read();
    // A cell that has just begun is as of no known time.
    return isWhole(now) && regionOf(now).stalenessMs !== null ? now : undefined;
  });
  const { relay, slot } = sourceOf(status);
  assert.equal(relay?.applicationName, `afterwrite-relay-${stage.config.bus}`);
  assert.equal(relay.state, 'streaming');
  assert.match(slot?.confirmedLsn ?? '', /^[0-9A-F]+\/[0-9A-F]+$/);
  assert.ok(!('error' in status.log) && status.log.records > 0);
  const { cells, ownedCells, lostCells, agents, stalenessMs } = regionOf(status);
  assert.deepEqual([cells, ownedCells, lostCells, agents], [4, 4, 0, 1]);
  assert.ok(stalenessMs !== null && stalenessMs < 5000, `staleness ${stalenessMs} ms`);
  await stage.kill(agent);
  await eventually('the cells have no living owner', async () => regionOf(await read()).ownedCells === 0);
  assert.equal(isWhole(await read()), false);
});

test('the gate is told by the agent’s port, its metrics and the status alike: 503 until it is WARM, then 200', async () => {
  const agent = await stage.startAgent('agent-gate');
  const page = async () => {
    const answer = await fetch(`http://127.0.0.1:${agent.httpPort}/gate`);
    return { code: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const state = (name: string) => metricOf(agent.httpPort, 'afterwrite_region_state', { state: name });
  const cold = await eventually('the agent knows it', async () => {
    const now = await page();
    return now.body['state'] === 'COLD' ? now : undefined;
  });
  assert.deepEqual([cold.code, cold.body['admit'], cold.body['region']], [503, 0, 'eu']);
  assert.deepEqual([await state('COLD'), await state('WARM')], [1, 0]);
  assert.deepEqual([regionOf(await read()).gate.state, regionOf(await read()).gate.admit], ['COLD', 0]);
  const gate = new RedisGateStore(stage.redis, `afterwrite:${stage.config.bus}:gate`);
  const epoch = String(cold.body['epoch']);
  await gate.report(epoch, 0.85);
  const warming = await eventually('it is WARMING', async () => {
    const now = await page();
    return now.body['state'] === 'WARMING' ? now : undefined;
  });
  assert.deepEqual([warming.code, warming.body['share'], warming.body['admit']], [503, 0.85, 0.25]);
  await gate.warm(epoch);
  const warm = await eventually('it is WARM', async () => {
    const now = await page();
    return now.code === 200 ? now : undefined;
  });
  assert.deepEqual([warm.body['state'], warm.body['admit']], ['WARM', 1]);
  assert.deepEqual([await state('COLD'), await state('WARM')], [0, 1]);
  assert.equal(regionOf(await read()).gate.state, 'WARM');
  assert.equal((await fetch(`http://127.0.0.1:${agent.httpPort}/nothing`)).status, 404);
  await agent.stop();
});

test('a cell that lost one of its records is shown as lost', async () => {
  const { bus } = stage.config;
  const keyspace = createKeyspace({ bus, prefix: '', cells: stage.partitions, clustered: false });
  await stage.redis.del(keyspace.state(2));
  assert.equal(regionOf(await read()).lostCells, 1);
});

test('published tables that no rule names are unrouted, partitions by their root', async () => {
  const { publication } = stage.config.source;
  await stage.sql.query(`alter publication ${publication} add table public.events, public.orgs`);
  assert.deepEqual(sourceOf(await read()).unrouted, ['public.events', 'public.orgs']);
});

test('what is away is shown with its code, and the rest all the same', async () => {
  const path = await stage.withUrls((text) => text.replaceAll(stage.cache.url, 'redis://127.0.0.1:1'));
  const status = await read(await loadConfig([path], {}));
  assert.match(JSON.stringify(status.regions['eu']), /^\{"error":"REDIS_UNREACHABLE \(redis:\/\/127\.0\.0\.1:1\): /);
  assert.ok(sourceOf(status).slot !== null);
  assert.equal(isWhole(status), false);
});
