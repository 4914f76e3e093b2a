// One statement for 100 keys beside 100 single loads: node bench/warmup/get-many.ts
import pg from 'pg';
import { originOf } from '../../test/support/source-family.ts';
import { startPostgres } from '../../src/stack/postgres.ts';

const KEYS = 100;
const ROUNDS = 300;

const server = await startPostgres();
const pool = new pg.Pool({ connectionString: server.url, max: 32 });
try {
  await pool.query('create table public.items (id int primary key, name text, n int)');
  await pool.query(`insert into public.items select i, 'a name of some length', 0 from generate_series(1, 100000) i`);
  await pool.query('vacuum analyze public.items');
  const origin = originOf({ source: 'select id, name, n from items where id = {id}' }, { primary: pool });
  const request = { signal: new AbortController().signal };
  const list = () => Array.from({ length: KEYS }, () => ({ id: 1 + Math.floor(Math.random() * 100_000) }));
  const measure = async (name: string, load: () => Promise<unknown>) => {
    for (let i = 0; i < 50; i += 1) await load();
    const took: number[] = [];
    const cpu = process.cpuUsage();
    for (let i = 0; i < ROUNDS; i += 1) {
      const beganMs = performance.now();
      await load();
      took.push(performance.now() - beganMs);
    }
    const { user, system } = process.cpuUsage(cpu);
    const median = took.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
    return { name, medianMs: Number(median.toFixed(2)), cpuMs: Number(((user + system) / 1000 / ROUNDS).toFixed(2)) };
  };
  const one = await measure('one statement', async () => origin.many?.loadMany(list(), request));
  const each = await measure('a statement a key, 32 at a time', async () =>
    Promise.all(list().map((params) => origin.load(params, request))),
  );
  console.log(
    JSON.stringify({ one, each, time: each.medianMs / one.medianMs, cpu: each.cpuMs / one.cpuMs }, undefined, 2),
  );
} finally {
  await pool.end();
  await server.stop();
}
