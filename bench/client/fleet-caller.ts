// One process of the fleet: asks for a key when it is told, and tells how often its loader was called.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createCache } from '../../src/index.ts';
import { FILE } from '../../test/support/cache-region.ts';
import type { FleetAnswer, FleetOrder } from './fleet.ts';

/** As a query of the primary may take. */
const LOAD_MS = 100;

const redis = new Redis(process.argv[2] ?? '', { lazyConnect: true });
// A process that starts with seven others on two cores is no Redis that is away.
const cache = await createCache({ config: { text: FILE }, region: 'eu', redis, commandTimeoutMs: 2000 });
let loads = 0;
const notes = cache.family<{ v: number }, { id: string }>('note', {
  reads: 'primary',
  load: async () => {
    loads += 1;
    await sleep(LOAD_MS);
    return { v: 1 };
  },
});
await notes.get({ id: `warm${process.pid}` });

process.on('message', (order: FleetOrder) => void answer(order));
process.on('disconnect', () => void cache.drain().then(() => redis.disconnect()));
process.send?.('ready');

async function answer({ id, callers }: FleetOrder): Promise<void> {
  loads = 0;
  const values = await Promise.all(Array.from({ length: callers }, () => notes.get({ id })));
  const told: FleetAnswer = { loads, values: values.filter((value) => value?.v === 1).length };
  process.send?.(told);
}
