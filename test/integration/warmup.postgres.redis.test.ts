import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { parse, stringify } from 'yaml';
import { openWarmCache } from '../../src/bin/warm-cache.ts';
import type { RegionConfig } from '../../src/config/bus-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { startGuarded } from '../../src/stack/guarded-process.ts';
import { freePort } from '../../src/stack/place.ts';
import { Pace } from '../../src/warmup/pace.ts';
import { WarmupPlan } from '../../src/warmup/plan.ts';
import { Warmup, type WarmupEnd, type WarmupObserver } from '../../src/warmup/warmup.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryWarmGate, zipfKeys } from '../support/memory-warmup.ts';
import { publishHotKeys } from '../support/published-hot-keys.ts';
import { REGION, startWarmupLab, type WarmupLab } from '../support/warmup-lab.ts';

const ROWS = 12_000;
const WHOLE = { shard: 0, of: 1 };
const quietLog: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quietLog };
const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

describe('a warm-up on real servers', { timeout: 240_000 }, () => {
  let lab: WarmupLab;
  let redis: Redis;
  let region: RegionConfig;
  let gate: RedisGateStore;
  before(async () => {
    lab = await startWarmupLab(ROWS, { target: '99%', rampStep: '1s' });
    redis = new Redis(lab.redisUrl);
    region = lab.config.regions.get(REGION) ?? assert.fail();
    gate = new RedisGateStore(redis, keyspaceOf(lab.config, region).gate);
    // Until the region has every cell, and a first record of each.
    await applied();
  });
  after(async () => {
    redis.disconnect();
    await lab.stop();
  });
  const stored = (family: string): Promise<string[]> => redis.keys(`warm:${family}:*`);
  beforeEach(async () => {
    const keys = await stored('*');
    if (keys.length > 0) await redis.unlink(...keys);
  });

  async function warm(
    keys: number,
    family = 'item',
    gate = new MemoryWarmGate(),
    progress: WarmupObserver['progress'] = () => undefined,
  ) {
    const { reader, cache, close } = await openWarmCache({ config: lab.config, region, name: 'warm', log: quietLog });
    try {
      const plan = new WarmupPlan(lab.config.families.values(), ({ source }) => source !== undefined, WHOLE);
      plan.add({ family, keys: zipfKeys(`${family}:`, keys) });
      plan.sort();
      const warmup = new Warmup({
        plan,
        reader,
        gate,
        epoch: 'e1',
        shard: WHOLE,
        target: 0.99,
        waits: true,
        pace: new Pace(lab.config.warmup, systemClock.monotonicMs()),
        clock: systemClock,
        observer: { asked: () => undefined, progress, hindered: () => undefined },
      });
      return { end: await warmup.run(new AbortController().signal), facts: warmup.facts, stats: cache.stats(), gate };
    } finally {
      await close();
    }
  }

  /** The rows that are stored otherwise than they stand in Postgres. */
  async function stale(family: string): Promise<number> {
    const keys = await stored(family);
    const rows = await lab.sql.query<{ id: string; n: string }>(
      'select id::text as id, n::text as n from public.items',
    );
    const now = new Map(rows.map(({ id, n }) => [id, n]));
    let old = 0;
    for (const [i, value] of (keys.length === 0 ? [] : await redis.mget(...keys)).entries()) {
      // What holds no payload is a lease.
      const n = /"n":(\d+)/.exec(value ?? '')?.[1];
      if (n !== undefined && n !== now.get(keys[i]?.split(':').at(-1) ?? '')) old += 1;
    }
    return old;
  }

  /** Until the agent has applied all that is committed. */
  async function applied(): Promise<void> {
    const [at] = await lab.sql.query<{ at: string }>(`select (pg_current_wal_lsn() - '0/0')::text as at`);
    await eventually(
      'the region',
      async () => {
        const text = await (await fetch(`${lab.agentUrl}/metrics`)).text();
        return Number(/^afterwrite_agent_watermark_lsn_bytes\{.*\} (\S+)$/mu.exec(text)?.[1] ?? 0) >= Number(at?.at);
      },
      60_000,
    );
  }

  test('stores what makes the target’s share of reads, hottest first, in statements of many keys', async () => {
    const { end, facts, stats, gate } = await warm(ROWS);
    assert.deepEqual(end, { kind: 'warm' });
    assert.equal(gate.state, 'WARM');
    assert.ok(facts.share >= 0.99 && facts.failed === 0);
    assert.ok(stats.loads < stats.stored / 10, `${stats.loads} statements for ${stats.stored} keys`);
    assert.equal((await stored('item')).length, stats.stored);
    assert.equal(await stale('item'), 0);
  });

  test('what is changed while it runs is nowhere stored as it was', async () => {
    // Method: a family whose statements take long after they have read; rows all over are changed all the while, so that for some
    // keys in every hundred an eviction is done between reading and storing. Afterwards each value in Redis is compared with its row. Nothing
    // is changed any more while the last are tried again: else too little would be left to compare.
    const keys = 1200;
    let isOver = false;
    let changed = 0;
    const beganMs = performance.now();
    const changing = (async () => {
      for (; !isOver; changed += 3) {
        // Some hundred a second: a row is changed about every third second, so that what was stored wrongly is still there at the end.
        await new Promise((resolve) => setTimeout(resolve, beganMs + changed * 2.5 - performance.now()));
        const ids = [0, 1, 2].map((i) => 1 + (((changed + i) * 7919) % keys));
        await lab.sql.query(`update public.items set n = n + 1 where id in (${ids.join()})`);
      }
    })();
    const progress = ({ loaded }: { readonly loaded: number }): void => void (isOver ||= loaded >= keys * 0.9);
    const { end, stats } = await warm(keys, 'slow', undefined, progress).finally(() => (isOver = true));
    await changing;
    assert.notEqual(end.kind, 'never');
    await applied();
    assert.ok(changed > 100);
    assert.ok((stats.refusals.lease ?? 0) > 0, 'some loads were crossed');
    assert.ok((await stored('slow')).length > 50);
    assert.equal(await stale('slow'), 0);
  });

  /** `afterwrite warmup` as a process, with so many keys of the family published as the only ones. */
  async function start(family: string, keys: number, flags: readonly string[] = []) {
    await publishHotKeys(lab.config, REGION, family, keys);
    const port = String(await freePort());
    const config = flags.includes('--config') ? [] : ['--config', lab.configPath];
    const args = ['warmup', '--json', '--region', REGION, ...config, ...flags];
    return startGuarded(process.execPath, [PROGRAM, ...args], {
      env: { AFTERWRITE_HTTP_PORT: port, AFTERWRITE_HTTP_HOST: '127.0.0.1' },
    });
  }

  test('a shadow of a region that publishes nothing tells the gate nothing, and goes on looking', async () => {
    const file = parse(await readFile(lab.configPath, 'utf8')) as { readonly regions: object };
    const two = lab.configPath.replace('.yaml', '-two.yaml');
    await writeFile(two, stringify({ ...file, regions: { ...file.regions, us: { redis: 'redis://127.0.0.1:1' } } }));
    const before = await gate.read();
    assert.equal(before?.state, 'COLD');
    const flags = ['--from', 'us', '--mode', 'shadow', '--config', two];
    const run = await start('item', 100, flags);
    await eventually('a round', () => run.lastLines().includes('looks again'), 30_000);
    assert.deepEqual(await gate.read(), before);
    await run.stop('SIGTERM');
    assert.equal(await run.ended, 0, run.lastLines());
  });

  test('what was published is planned and loaded, and the region’s own gate goes from COLD to WARM', async () => {
    assert.equal((await gate.read())?.state, 'COLD');
    const plan = await start('item', 2000, ['--plan']);
    assert.equal(await plan.ended, 0, plan.lastLines());
    const { keys, keysToTarget, leftOut } = JSON.parse(plan.lastLines().trim()) as Record<string, unknown>;
    assert.deepEqual([keys, leftOut], [2000, []]);
    assert.equal((await stored('item')).length, 0);
    const run = await start('item', 2000);
    assert.equal(await run.ended, 0, run.lastLines());
    assert.match(run.lastLines(), /"event":"end","end":"warm"/);
    assert.ok((await stored('item')).length >= Number(keysToTarget));
    const { state, share } = (await gate.read()) ?? {};
    assert.equal(state, 'WARM');
    assert.ok(share !== undefined && share >= 0.99);
  });

  test('where nothing is known of what is read, the gate opens by steps of time, and nothing is loaded', async () => {
    const run = await start('item', 0);
    assert.equal(await run.ended, 0, run.lastLines());
    assert.match(run.lastLines(), /opens by steps of time/);
    assert.deepEqual([(await gate.read())?.state, (await stored('item')).length], ['WARM', 0]);
  });

  test('where the log, or the region, is away at first, it is waited for; a plan is not', async () => {
    const file = parse(await readFile(lab.configPath, 'utf8')) as { readonly regions: object };
    const away = { log: { redisStreams: { url: 'redis://127.0.0.1:1' } } };
    const emptied = { regions: { [REGION]: { redis: 'redis://127.0.0.1:1' } } };
    for (const [name, part] of Object.entries({ away, emptied })) {
      const path = lab.configPath.replace('.yaml', `-${name}.yaml`);
      await writeFile(path, stringify({ ...file, ...part }));
      const run = await start('item', 100, ['--config', path]);
      await eventually('two tries', () => run.lastLines().split('asking again').length > 2, 30_000);
      await run.stop('SIGTERM');
      assert.equal(await run.ended, 1, run.lastLines());
      assert.match(run.lastLines(), /"event":"end","end":"stopped"/);
    }
    const plan = await start('item', 100, ['--plan', '--config', lab.configPath.replace('.yaml', '-away.yaml')]);
    assert.equal(await plan.ended, 1, plan.lastLines());
    assert.match(plan.lastLines(), /REDIS_UNREACHABLE/);
  });

  test('a connection to the gate that broke meanwhile is made anew: the gate is told all the same', async () => {
    const { epoch } = (await gate.read()) ?? assert.fail();
    await gate.markCold('anew', 'for a test', epoch);
    const run = await start('item', ROWS);
    await eventually('some keys', async () => (await stored('item')).length > 100, 60_000);
    const clients = String(await redis.client('LIST')).split('\n');
    const ids = clients
      .filter((line) => line.includes('name=afterwrite-warmup-'))
      .map((line) => /id=(\d+)/.exec(line)?.[1]);
    assert.ok(ids.length > 0);
    for (const id of ids) await redis.client('KILL', 'ID', id ?? '');
    assert.equal(await run.ended, 0, run.lastLines());
    assert.equal((await gate.read())?.state, 'WARM');
  });

  test('killed and started again it goes on: what stands is not loaded again', async () => {
    const first = await start('item', ROWS);
    await eventually('some keys', async () => (await stored('item')).length > 500, 60_000);
    await first.stop('SIGKILL');
    const before = (await stored('item')).length;
    const { end, facts } = await warm(ROWS);
    assert.equal(end.kind, 'warm');
    assert.ok(before < facts.wereWarm + facts.loaded, `${before} were stored by the first`);
    // A lease of the first that still stands is waited for, and no value.
    assert.ok(facts.wereWarm >= before * 0.9, `${facts.wereWarm} of ${before} were warm`);
  });

  test('asked to end before the region is warm it does not say that all is well: a Job would be complete', async () => {
    const drained = await start('item', ROWS);
    await eventually('some keys', async () => (await stored('item')).length > 100, 60_000);
    await drained.stop('SIGTERM');
    assert.equal(await drained.ended, 1, drained.lastLines());
    assert.match(drained.lastLines(), /"event":"end","end":"stopped"/);
  });

  test('ends 43 where the region has begun anew meanwhile, and 42 where the source is wrong', async () => {
    const wrong = await start('wrong', 100);
    assert.equal(await wrong.ended, 42, wrong.lastLines());
    const moved = await start('item', ROWS);
    await eventually('some keys', async () => (await stored('item')).length > 100, 60_000);
    await redis.del(keyspaceOf(lab.config, region).gate);
    assert.equal(await moved.ended, 43, moved.lastLines());
  });

  test('started for an epoch that is over it ends 43, and loads nothing', async () => {
    const late = await start('item', ROWS, ['--epoch', 'of-another-day']);
    assert.equal(await late.ended, 43, late.lastLines());
    assert.equal((await stored('item')).length, 0);
  });

  test('a gate that is another ends it at once, and is not written', async () => {
    const gate = new MemoryWarmGate('e2');
    const { end } = await warm(ROWS, 'item', gate);
    assert.deepEqual(end satisfies WarmupEnd, { kind: 'moved' });
    assert.deepEqual(gate.told, []);
  });
});
