import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import kafkajs from 'kafkajs';
import { eventually } from '../support/eventually.ts';
import { runCli } from '../support/cli.ts';
import type { DemoChild } from '../../src/cli/demo/children.ts';
import { openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';

interface Finding {
  readonly subject: string;
  readonly level: string;
  readonly message: string;
  readonly repair?: string;
}

let stage: Stage;
let relay: DemoChild;

before(async () => {
  stage = await openStage({
    log: 'kafka',
    schema: SHOP,
    families: { ...SHOP_FAMILIES, user: { ...SHOP_FAMILIES.user, tags: ['org:{org_id}'] } },
    tags: { 'org:{id}': { on: { orgs: { id: 'id' } } } },
  });
});

after(() => stage.close());

async function heldSlots(): Promise<number> {
  return (await stage.sql.query('select 1 from pg_replication_slots where active')).length;
}

const cli = (...args: string[]): ReturnType<typeof runCli> => runCli([...args, '--config', stage.configPath]);

async function doctor(): Promise<{
  readonly code: number | null;
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  readonly bad: readonly string[];
}> {
  const run = await cli('doctor', '--json');
  const { ok, findings } = JSON.parse(run.out) as { ok: boolean; findings: Finding[] };
  return {
    code: run.code,
    ok,
    findings,
    bad: findings.filter(({ level }) => level !== 'ok').map(({ level, message }) => `${level} ${message}`),
  };
}

test('the doctor finds nothing to mend in a bus that was set up, and says so by its exit', async () => {
  const { code, ok, bad } = await doctor();
  assert.deepEqual([code, ok], [0, true], bad.join('\n'));
});

test('the doctor fails where commits would wait for us', async () => {
  for (const names of ['*', `FIRST 1 (other, "afterwrite-relay-${stage.config.bus}")`]) {
    await stage.sql.query(`alter system set synchronous_standby_names = '${names}'`);
    await stage.sql.query('select pg_reload_conf()');
    await stage.sql.query(`set synchronous_commit = 'local'`);
    const found = await eventually('the setting is read', async () => {
      const { code, findings } = await doctor();
      const one = findings.find(
        ({ level, message }) => level === 'fail' && message.includes('every COMMIT would wait'),
      );
      return one === undefined ? undefined : { code, one };
    });
    assert.equal(found.code, 1);
    assert.match(found.one.repair ?? '', /ALTER SYSTEM SET synchronous_standby_names/);
  }
  await stage.sql.query('alter system reset synchronous_standby_names');
  await stage.sql.query('select pg_reload_conf()');
});

test('the doctor fails on a cache that never forgets or has no limit, and warns where it may forget our records', async () => {
  const policy = (name: string): Promise<unknown> => stage.redis.config('SET', 'maxmemory-policy', name);
  await policy('noeviction');
  assert.ok((await doctor()).bad.some((line) => line.startsWith('fail maxmemory-policy is noeviction')));
  await policy('allkeys-lru');
  assert.ok((await doctor()).bad.some((line) => line.startsWith('warn maxmemory-policy is allkeys-lru')));
  await policy('volatile-lru');
  await stage.redis.config('SET', 'maxmemory', '0');
  const { findings, bad } = await doctor();
  assert.ok(bad.some((line) => line.startsWith('fail maxmemory is not set')));
  // The repair is a command that mends it as it stands.
  execFileSync('sh', [
    '-c',
    findings.find(({ message }) => message.startsWith('maxmemory is not set'))?.repair ?? 'false',
  ]);
  assert.ok((await doctor()).bad.every((line) => !line.includes('maxmemory is not set')));
  await stage.redis.set('user:1', 'no ttl');
});

test('the doctor fails on a topic that is compacted', async () => {
  const { log } = stage.config;
  if (log.kind !== 'kafka') throw new Error('Kafka is expected.');
  const admin = new kafkajs.Kafka({ brokers: [...log.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  const set = (value: string): Promise<unknown> =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: log.topic,
          configEntries: [{ name: 'cleanup.policy', value }],
        },
      ],
    });
  await set('compact');
  const found = await eventually('the setting is read', async () =>
    (await doctor()).bad.find((line) => line.startsWith('fail cleanup.policy is compact')),
  );
  assert.match(found, /hides gaps/);
  await set('delete');
  await admin.disconnect();
});

test('explain names the user and both lists for a move between organisations', async () => {
  const run = await cli('explain', 'users', 'id=42', 'org_id=1', '--set', 'org_id=2', '--json');
  assert.equal(run.code, 0, run.err);
  const { invalidations } = JSON.parse(run.out) as { invalidations: { key?: string }[] };
  assert.deepEqual(
    invalidations.map(({ key }) => key),
    ['user:42', 'org:1:members', 'org:2:members'],
  );
  const missing = await cli('explain', 'users', 'id=42');
  assert.deepEqual([missing.code, missing.err.includes('The rules read org_id')], [2, true]);
});

test('status shows relay, slot, log and region, and fails while no relay streams', async () => {
  const without = await cli('status', '--json');
  assert.equal(without.code, 1);
  relay = await stage.startRelay('relay');
  await stage.startAgent('agent');
  await stage.sql.query('create table public.extra (id int primary key)');
  await stage.sql.query(`alter publication ${stage.config.source.publication} add table public.extra`);
  const status = await eventually('whole', async () => {
    const run = await cli('status', '--json');
    return run.code === 0 ? (JSON.parse(run.out) as Record<string, never>) : undefined;
  });
  const { source, log, regions } = status as unknown as {
    source: { relay: { state: string }; slot: { walStatus: string }; unrouted: string[] };
    log: { partitions: number };
    regions: { eu: { ownedCells: number; stalenessMs: number } };
  };
  assert.deepEqual(
    [source.relay.state, source.slot.walStatus, source.unrouted],
    ['streaming', 'reserved', ['public.extra']],
  );
  assert.deepEqual([log.partitions, regions.eu.ownedCells], [4, 4]);
  assert.ok(regions.eu.stalenessMs < 10_000);
});

test('invalidate reaches the region by way of the log: a key, a family, a tag', async () => {
  const fill = (): Promise<unknown> =>
    Promise.all([
      stage.redis.set('user:7', 'v', 'EX', 3600),
      stage.redis.set('user:8', 'v', 'EX', 3600),
      stage.redis.set('org:1:members', 'v', 'EX', 3600),
    ]);
  const left = (): Promise<number[]> =>
    Promise.all(['user:7', 'user:8', 'org:1:members'].map((key) => stage.redis.exists(key)));
  await eventually(
    'the cells have begun, and what was there before is swept',
    async () => (await stage.redis.keys('afterwrite:*:sweeps')).length === 0,
  );
  await fill();
  assert.equal((await cli('invalidate', 'key', 'user', 'id=7')).code, 0);
  await eventually('the key is gone', async () => (await left()).join() === '0,1,1');
  await fill();
  assert.equal((await cli('invalidate', 'family', 'user')).code, 0);
  await eventually('the family is swept', async () => (await left()).join() === '0,0,1');
  await fill();
  assert.equal((await cli('invalidate', 'tag', 'org:1')).code, 0);
  await eventually('what may carry the tag is swept', async () => (await left()).join() === '0,0,1');
  const wrong = await cli('invalidate', 'key', 'user', 'id=seven');
  assert.deepEqual([wrong.code, wrong.err.includes('type integer')], [2, true]);
});

test('the doctor fails on a slot that is older than its publication, and set-up refuses to go on with it', async () => {
  // A relay that streams confirms, which moves the slot's horizon past a publication that is made now: then it is not older any more.
  await relay.stop();
  await eventually('no relay holds the slot', async () => (await heldSlots()) === 0);
  await stage.sql.query(`drop publication ${stage.config.source.publication}`);
  assert.ok((await doctor()).bad.some((line) => line.startsWith('fail not done: Make the publication')));
  await stage.sql.query(`create publication ${stage.config.source.publication} for table users (id, org_id)`);
  const { code, bad } = await doctor();
  assert.equal(code, 1);
  assert.ok(
    bad.some((line) => line.startsWith('fail is older than its publication')),
    bad.join('\n'),
  );
});

test('what explain and invalidate are given is refused where it would be read in another way', async () => {
  const refusals = {
    'explain users id=1 id=2 org_id=1': '"id" is given twice',
    'explain users id=1 org_id=1 --op delete --set org_id=2': '--set is what an update changes',
    'invalidate key user nope=1': 'A key of family "user" takes id=…, and nope was given',
    'invalidate key nope id=1': '"nope" is no family. The file has user, org-members',
    'invalidate tag nope': 'No label is written as "nope". The file has org:{',
  };
  for (const [line, said] of Object.entries(refusals)) {
    const run = await cli(...line.split(' '));
    assert.deepEqual([run.code, run.out, run.err.includes(said)], [2, '', true], `${line}: ${run.err}`);
  }
});

test('a wrong command line says what would be right, and exits with 2', async () => {
  for (const args of [
    ['nothing'],
    ['agent', '--region', 'mars'],
    ['demo', '--seconds', 'many'],
    ['explain', 'users', 'id'],
  ]) {
    const run = await cli(...args);
    assert.equal(run.code, 2, args.join(' '));
    assert.notEqual(run.err, '');
  }
  const missing = await runCli(['status', '--config', '/nonexistent/afterwrite.yaml']);
  assert.deepEqual([missing.code, missing.err.includes('CONFIG_INVALID')], [2, true]);
  assert.equal((await runCli(['--help'])).code, 0);
});

test('setup repeated finds nothing to do', async () => {
  await stage.sql.query(`drop publication ${stage.config.source.publication}`);
  await stage.sql.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
  const dry = await cli('setup', '--dry-run');
  assert.match(dry.out, /1\. Make the publication[\s\S]*2\. Make the slot|1\. Make the publication/i);
  assert.equal((await stage.sql.query('select 1 from pg_replication_slots')).length, 0);
  const first = await cli('setup');
  assert.deepEqual([first.code, first.out.trim().endsWith('Done.')], [0, true], first.out + first.err);
  const second = await cli('setup');
  assert.deepEqual([second.code, second.out.trim()], [0, 'Nothing to do: everything is in place.']);
});
