import type { Redis } from 'ioredis';
import type { WarmupLab } from '../../test/support/warmup-lab.ts';
import { eventually } from '../../test/support/eventually.ts';

/** Waits until the region has applied everything, and compares every value that is stored with its row. */
export async function countStale(lab: WarmupLab, redis: Redis): Promise<{ compared: number; stale: number }> {
  const [at] = await lab.sql.query<{ at: string }>(`select (pg_current_wal_lsn() - '0/0')::text as at`);
  await eventually(
    'the region',
    async () => {
      const text = await (await fetch(`${lab.agentUrl}/metrics`)).text();
      return Number(/^afterwrite_agent_watermark_lsn_bytes\{.*\} (\S+)$/mu.exec(text)?.[1] ?? 0) >= Number(at?.at);
    },
    120_000,
  );
  const rows = await lab.sql.query<{ id: string; n: string }>('select id::text as id, n::text as n from public.items');
  const now = new Map(rows.map(({ id, n }) => [id, n]));
  let [compared, stale, cursor] = [0, 0, '0'];
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', 'warm:item:*', 'COUNT', 5000);
    cursor = next;
    for (const [i, value] of (keys.length === 0 ? [] : await redis.mget(...keys)).entries()) {
      const n = /"n":(\d+)/.exec(value ?? '')?.[1];
      if (n === undefined) continue;
      compared += 1;
      if (n !== now.get(keys[i]?.split(':').at(-1) ?? '')) stale += 1;
    }
  } while (cursor !== '0');
  return { compared, stale };
}
