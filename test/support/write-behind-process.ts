// A process that writes behind until it is killed, and keeps a ledger of it: node write-behind-process.ts FILE REDIS LEDGER NAME BUFFERS.
// Each line of the ledger is written at once, so that it outlives kill -9: `T` before calls are made, `A` when some are acknowledged, `R` refused.
import { appendFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { createCache } from '../../src/index.ts';

const [file = '', redisUrl = '', ledger = '', name = '', list = ''] = process.argv.slice(2);
/** Calls of each buffer in one turn. */
const CALLS = 10;
/** Calls that wait at most, so that a Redis that is away does not gather all there is. */
const WAITING_MAX = 2000;

const note = (line: string): void => appendFileSync(ledger, `${line}\n`);
const redis = new Redis(redisUrl, { lazyConnect: true });
redis.on('error', () => undefined);
const cache = await createCache({ config: file, region: 'eu', redis, onEvent: () => undefined });
const buffers = list.split(',').map((buffer) => ({ buffer, counter: cache.counter(buffer) }));
const acknowledged = new Map<string, string[]>();
let made = 0;
let waiting = 0;

async function call({ buffer, counter }: (typeof buffers)[number], id: string): Promise<void> {
  waiting += 1;
  try {
    await counter.add({ id });
    const known = acknowledged.get(buffer);
    if (known === undefined) acknowledged.set(buffer, [id]);
    else known.push(id);
  } catch (error) {
    note(`R ${buffer} ${(error as { code?: string }).code} ${id}`);
  } finally {
    waiting -= 1;
  }
}

setInterval(() => {
  const nowMs = Date.now();
  for (const [buffer, ids] of acknowledged) note(`A ${buffer} ${nowMs} ${ids.join(' ')}`);
  acknowledged.clear();
  if (waiting > WAITING_MAX) return;
  const ids = Array.from({ length: CALLS }, () => `${name}.${made++}`);
  note(`T ${ids.join(' ')}`);
  for (const one of buffers) for (const id of ids) void call(one, id);
}, 5);
