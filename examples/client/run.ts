// npm run example: starts Postgres, two Redis servers, a relay and an agent, and runs shop.ts on them.
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { startChild } from '../../src/cli/demo/children.ts';
import { setUpQuietly } from '../../src/cli/demo/quiet-setup.ts';
import { freePort, temporaryFolder } from '../../src/stack/place.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { shop } from './shop.ts';

/** As many as the log has partitions. */
const CELLS = 4;
const config = fileURLToPath(new URL('afterwrite.yaml', import.meta.url));
const closing: (() => Promise<unknown>)[] = [];
try {
  const folder = await temporaryFolder('example');
  closing.push(() => folder.remove());
  const [postgres, cache, log] = await Promise.all([
    startPostgres(),
    startRedis(),
    startRedis({ settings: LOG_SETTINGS }),
  ]);
  for (const server of [postgres, cache, log]) closing.push(() => server.stop());
  const env = { PG_URL: postgres.url, REDIS_EU: cache.url, REDIS_LOG: log.url };
  Object.assign(process.env, env);
  const primary = new pg.Pool({ connectionString: postgres.url });
  primary.on('error', () => undefined);
  closing.push(() => primary.end());
  await primary.query('create table users (id bigint primary key, name text not null, org_id bigint not null)');
  await primary.query(`insert into users values (1, 'Ann', 7), (2, 'Bob', 7), (3, 'Cid', 8)`);
  await setUpQuietly(config);
  for (const args of [['agent', '--region', 'eu'], ['relay']]) {
    const child = { name: args[0] ?? '', args: [...args, '--config', config], env, folder: folder.path };
    const { stop } = await startChild({ ...child, port: await freePort() });
    closing.push(stop);
  }
  const redis = new Redis(cache.url);
  closing.push(async () => redis.disconnect());
  await rulesKnown(redis);
  await shop(config, redis, primary);
} finally {
  for (const close of closing.toReversed()) await close();
}

/** A region that has only just begun hears the rules from the relay; until then a client reads through. */
async function rulesKnown(redis: Redis): Promise<void> {
  for (;;) {
    const states = await redis.keys('afterwrite:shop:*:state');
    const known = await Promise.all(states.map((state) => redis.hexists(state, 'r:user')));
    if (known.length === CELLS && known.every(Boolean)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
