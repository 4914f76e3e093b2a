import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DemoChild } from '../../src/cli/demo/children.ts';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from '../support/eventually.ts';
import { runCli } from '../support/cli.ts';
import { openStage, type Stage } from '../support/stage.ts';

const TABLES = `
create table public.probes (id text primary key, at timestamptz not null default now());
create table public.numbers (id smallint primary key);
create table public.pairs (a int, b int, primary key (a, b));
`;
const FAMILIES = {
  probe: { key: 'afterwrite-probe:{id}', ttl: '5m', on: { probes: { id: 'id' } } },
  number: { key: 'number:{id}', ttl: '5m', on: { numbers: { id: 'id' } } },
  pair: { key: 'pair:{a}:{b}', ttl: '5m', on: { pairs: { a: 'a', b: 'b' } } },
};

let stage: Stage;
let agent: DemoChild;

before(async () => {
  stage = await openStage({ log: 'redis-streams', schema: TABLES, families: FAMILIES });
  await stage.startRelay('relay');
  agent = await stage.startAgent('agent');
  const keyspace = createKeyspace({ bus: stage.config.bus, prefix: '', cells: stage.partitions, clustered: false });
  await eventually('every cell has begun', async () =>
    (await readRegionView(stage.redis, keyspace)).every(({ asOfMs }) => asOfMs !== undefined),
  );
});

after(() => stage.close());

const probe = (...args: string[]): ReturnType<typeof runCli> =>
  runCli(['probe', '--region', 'eu', '--config', stage.configPath, ...args]);

test('a probe sees its key evicted by the row that it wrote, says so by its exit, and leaves nothing behind', async () => {
  for (const family of ['probe', 'number']) {
    const { code, out, err } = await probe('--family', family, '--json');
    assert.equal(code, 0, err);
    const { outcome, region, key } = JSON.parse(out) as { outcome: string; region: string; key: string };
    assert.deepEqual([outcome, region], ['evicted', 'eu']);
    assert.match(key, family === 'probe' ? /^afterwrite-probe:probe-[0-9a-f]{16}$/ : /^number:\d+$/);
  }
  assert.deepEqual(await stage.sql.query('select id from probes union all select id::text from numbers'), []);
  assert.deepEqual(await stage.redis.keys('afterwrite-probe:*'), []);
});

test('what cannot be probed is refused before anything is written', async () => {
  for (const [args, message] of [
    [['--family', 'pair'], /one table is expected in `on`, with one column/],
    [['--family', 'none'], /no family "none"; it has probe, number, pair/],
  ] as const) {
    const { code, err } = await probe(...args);
    assert.equal(code, 2);
    assert.match(err, message);
  }
  // A value that is loaded anew stands again before anybody looks whether it went.
  const fresh =
    'fresh: { key: "fresh:{id}", ttl: 5m, when-changed: refresh, source: "select id from probes where id = {id}", on: { probes: { id: id } } }';
  const refreshing = await stage.withUrls((text) => text.replace(/^families:$/m, () => `families:\n  ${fresh}`));
  const refused = await runCli([
    'probe',
    '--region',
    'eu',
    '--config',
    refreshing,
    '--family',
    'fresh',
    '--seconds',
    '1',
  ]);
  assert.match(refused.err, /"fresh" cannot be probed: a change does not leave its values evicted/);
  assert.equal(refused.code, 2);
  const observing = await stage.withUrls((text) => `${text}observe: true\n`);
  const { code, err } = await runCli(['probe', '--region', 'eu', '--config', observing]);
  assert.equal(code, 2);
  assert.match(err, /observe: true/);
});

test('a probe fails where a key that no row is of goes too: the region was emptied, and nothing is shown by that', async () => {
  await stage.kill(agent);
  const running = probe('--json');
  await eventually('the probe has put its two keys', async () =>
    (await stage.redis.keys('afterwrite-probe:*')).length === 2 ? true : undefined,
  );
  await stage.redis.flushall();
  const { code, out } = await running;
  assert.equal((JSON.parse(out) as { outcome: string }).outcome, 'both-gone');
  assert.equal(code, 1);
});

test('a probe fails where no agent evicts, and takes its row and its keys away', async () => {
  const { code, out } = await probe('--seconds', '1');
  assert.match(out, /still stands 1 s after its row was written/);
  assert.equal(code, 1);
  assert.deepEqual(await stage.sql.query('select id from probes'), []);
  assert.deepEqual(await stage.redis.keys('afterwrite-probe:*'), []);
});
