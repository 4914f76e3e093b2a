import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FamilyHotKeys, readHotKeys } from '../../src/cli/commands/hot-keys.ts';
import { openHotKeyLog } from '../../src/drivers/hot-key-log.ts';
import { type GuardedProcess, startGuarded } from '../../src/stack/guarded-process.ts';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { metricOf, openStage, SHOP, type Stage } from '../support/stage.ts';

const FAMILIES = {
  user: { key: 'user:{id}', ttl: '1s', on: { users: { id: 'id' } } },
  near: { key: 'near:{id}', ttl: '10m', local: '10m', on: { users: { name: 'id' } } },
};
const READER = fileURLToPath(new URL('../support/hot-reader-process.ts', import.meta.url));
let stage: Stage;
let stream: string;

before(async () => {
  stage = await openStage({ log: 'kafka', schema: SHOP, families: FAMILIES });
  stream = `afterwrite:${stage.config.bus}:hot-reads`;
  await stage.startRelay('relay');
});

const readers = new Set<GuardedProcess>();
after(async () => {
  for (const reader of readers) await reader.stop('SIGTERM', 10_000);
  await stage?.close();
});

async function startReader(name: string): Promise<GuardedProcess> {
  const reader = await startGuarded(process.execPath, [READER, stage.configPath, stage.cache.url, name]);
  readers.add(reader);
  return reader;
}

async function published(): Promise<ReadonlyMap<string, FamilyHotKeys>> {
  const log = await openHotKeyLog(stage.config);
  try {
    return await readHotKeys(log, { region: 'eu', family: undefined, top: 100 }, (error) => assert.fail(error));
  } finally {
    await log.close();
  }
}

const keysOf = async (family: string): Promise<string[]> =>
  ((await published()).get(family)?.top ?? []).map((k) => k.key);

test('what two processes read, from their memories too, is published, and outlives the region’s Redis and the agent', async () => {
  const agent = await stage.startAgent('agent');
  const two = await Promise.all(['a', 'b'].map(startReader));
  const both = await eventually(
    'both processes are in it',
    async () => {
      const now = await published();
      const near = now.get('near')?.top.map(({ key }) => key) ?? [];
      return near.includes('near:of-a') &&
        near.includes('near:of-b') &&
        (now.get('user')?.keys ?? 0) === 7 &&
        (now.get('user')?.top ?? []).slice(0, 2).every(({ loadMs }) => loadMs > 0)
        ? now
        : undefined;
    },
    90_000,
  );
  const users = both.get('user')?.top ?? [];
  assert.deepEqual(
    users
      .slice(0, 2)
      .map(({ key }) => key)
      .toSorted(),
    ['user:1', 'user:2'],
  );
  const [first, , third] = users;
  assert.ok(first !== undefined && third !== undefined);
  assert.ok(first.readsPerSecond > 3 * third.readsPerSecond, 'each of five is read a fifth as often');
  assert.ok(first.loadMs >= 2 && first.bytes > 100, `a load of ${first.loadMs} ms, ${first.bytes} bytes`);
  const printed = await runCli([
    'hot-keys',
    '--region',
    'eu',
    '--family',
    'user',
    '--top',
    '2',
    '--config',
    stage.configPath,
  ]);
  assert.equal(printed.code, 0, printed.err);
  assert.match(printed.out, /^user: 7 keys, /);
  assert.match(printed.out, /^user:1 +\d/m);

  for (const reader of two) await reader.stop('SIGTERM', 10_000);
  await stage.kill(agent);
  await stage.redis.flushall();
  assert.ok((await keysOf('near')).includes('near:of-a'), 'it stands outside of the region');
  // Nobody's reports: they are counted and skipped.
  for (const text of ['', 'no JSON', '{"v":9}', '{"v":1,"p":"x","s":5,"f":{"user":[1,[["user:9",-1,0,0]]]}}'])
    await stage.redis.xadd(stream, '*', 'r', text);
  await stage.redis.xadd(stream, '*', 'other', 'field');
  const next = await stage.startAgent('agent-next');
  await eventually(
    'it knows what was published',
    async () => ((await metricOf(next.httpPort, 'afterwrite_hot_keys', { family: 'user' })) ?? 0) >= 7,
    60_000,
  );
  await eventually(
    'what cannot be read is counted',
    async () => (await metricOf(next.httpPort, 'afterwrite_hot_keys_faults_total', { code: 'HOT_KEYS_INVALID' })) === 5,
  );
  assert.equal(await stage.redis.xlen(stream), 0);
  const another = await startReader('c');
  await eventually(
    'it goes on from there',
    async () => {
      const near = await keysOf('near');
      return near.includes('near:of-c') && near.includes('near:of-a') && near.includes('near:of-b');
    },
    90_000,
  );
  await another.stop('SIGTERM', 10_000);
  await next.stop();
});
