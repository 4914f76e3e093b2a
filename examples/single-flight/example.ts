import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Example } from '../example.ts';
import type { Told } from './another-process.ts';

export default async function singleFlight({ config, cache, until }: Example): Promise<void> {
  let loads = 0;
  const end = Promise.withResolvers<void>();
  const reports = cache.family<{ total: number }, { id: number }>('report', {
    reads: 'primary',
    load: async () => {
      loads += 1;
      await end.promise;
      return { total: 42 };
    },
  });
  const mine = Array.from({ length: 100 }, () => reports.get({ id: 1 }));
  await until('the load has begun', () => loads === 1);

  // Another process asks meanwhile. Its loader would tell another total.
  const other = fork(new URL('another-process.ts', import.meta.url), config);
  const told: Told[] = [];
  other.on('message', (message) => void told.push(message as Told));
  try {
    await until('the other process waits', () => told.some(({ waits }) => waits === 100));
    end.resolve();
    const answer = await until('it has its answer', () => told.find(({ totals }) => totals !== undefined));
    const totals = [...(await Promise.all(mine)).map((value) => value?.total), ...(answer.totals ?? [])];
    console.log(`${totals.length} callers in two processes; loads here: ${loads}, loads there: ${answer.loads}`);
    assert.deepEqual([...new Set(totals)], [42]);
    assert.deepEqual([totals.length, loads, answer.loads], [200, 1, 0]);
  } finally {
    other.disconnect();
    if (other.exitCode === null) await once(other, 'exit');
  }
}
