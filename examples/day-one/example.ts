import assert from 'node:assert/strict';
import type { Example } from '../example.ts';

export default async function dayOne({ redis, run }: Example): Promise<void> {
  const findings = async (): Promise<string[]> => {
    // It exits with 1 where something fails, and prints what, and why, all the same.
    const printed = await run('doctor').catch((error: { readonly stdout: string }) => error.stdout);
    return printed.split('\n').filter((line) => line.includes('redis of eu'));
  };
  const [, limit] = (await redis.config('GET', 'maxmemory')) as [string, string];
  try {
    await redis.config('SET', 'maxmemory-policy', 'noeviction');
    await redis.config('SET', 'maxmemory', '0');
    const unfit = (await findings()).filter((line) => line.startsWith('fail'));
    console.log(unfit.join('\n'));
    for (const reason of ['a full cache refuses every write', 'a cache without a limit takes the machine with it'])
      assert.ok(
        unfit.some((line) => line.includes(reason)),
        reason,
      );
  } finally {
    await redis.config('SET', 'maxmemory', limit);
    await redis.config('SET', 'maxmemory-policy', 'volatile-lru');
  }
  const fit = await findings();
  assert.ok(!fit.some((line) => line.includes('refuses every write') || line.includes('without a limit')));
  console.log(
    'Repaired:',
    fit.find((line) => line.includes('volatile-lru')),
  );
}
