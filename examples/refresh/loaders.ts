// What the application and `afterwrite worker` share: the families with the application's own loaders.
import pg from 'pg';
import type { Cache, CacheFamily } from '../../src/index.ts';

export interface Card {
  readonly title: string;
}

export default function openFamilies(cache: Cache): CacheFamily<Card, { id: number }> {
  const pool = new pg.Pool({ connectionString: process.env['PG_URL'], max: 4, allowExitOnIdle: true });
  pool.on('error', () => undefined);
  return cache.family<Card, { id: number }>('card', {
    reads: 'primary',
    load: async ({ id }) => {
      const { rows } = await pool.query<{ name: string }>('select name from users where id = $1', [id]);
      return rows[0] === undefined ? null : { title: `Card of ${rows[0].name}` };
    },
  });
}
