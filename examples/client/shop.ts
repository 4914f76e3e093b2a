// What an application writes. In an application the import is from 'afterwrite'.
import type { Redis } from 'ioredis';
import type pg from 'pg';
import { createCache } from '../../src/index.ts';

interface User {
  readonly id: string;
  readonly name: string;
  readonly org_id: string;
}

export async function shop(config: string, redis: Redis, primary: pg.Pool): Promise<void> {
  const cache = await createCache({ config, region: 'eu', redis, postgres: { primary } });
  const users = cache.family<User, { id: number }>('user');
  const members = cache.family<string[], { org_id: number }>('org-members', {
    reads: 'primary',
    load: async ({ org_id }) => {
      const { rows } = await primary.query<User>('select name from users where org_id = $1 order by name', [org_id]);
      return rows.map(({ name }) => name);
    },
  });

  console.log('Ann is read twice, and loaded once:');
  console.log(' ', await users.get({ id: 1 }), (await users.inspect({ id: 1 })).verdict);
  console.log(' ', await users.get({ id: 1 }), `loads: ${cache.stats().loads}`);
  console.log('Who does not exist is cached too:', await users.get({ id: 99 }));
  console.log('A list, by a loader of the application:', await members.get({ org_id: 7 }));

  await primary.query(`update users set name = 'Anna', org_id = 8 where id = 1`);
  const token = await cache.afterWrite();
  console.log('One UPDATE; nobody told the cache. Read with the token of the write:');
  console.log(' ', await users.get({ id: 1 }, { token }));
  console.log(
    '  members of 7 and 8:',
    await members.get({ org_id: 7 }, { token }),
    await members.get({ org_id: 8 }, { token }),
  );

  const { reads, hits, loads, stored } = cache.stats();
  console.log(`${reads} reads: ${hits} hits, ${loads} loads, ${stored} stored.`);
  await cache.drain();
}
