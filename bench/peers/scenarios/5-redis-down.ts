import type { BurstResult } from '../calls.ts';
import { inLab } from '../lab.ts';
import type { Scenario } from '../scenario.ts';
import { processOf } from './4-frozen.ts';

const MISSES = 500;
const LOAD_MS = 20;
const CAP_MS = 30_000;
/** Redis has been gone for this long when the misses come: the client has heard of it. */
const GONE_MS = 500;

type Result = BurstResult & { readonly uncaught: number };

export const redisDown: Scenario<Result> = {
  number: 5,
  name: 'redisDown',
  title: `${MISSES} misses of distinct keys at once with Redis killed, loader ${LOAD_MS} ms`,
  headings: ['concurrent loads, max', 'values', 'errors', 'no answer', 'ms'],
  run: (peer, settings) =>
    inLab(peer, settings, async ({ server, start }) => {
      const process = await start();
      const redis = processOf(server);
      redis.kill('SIGKILL');
      await redis.ended;
      await new Promise((resolve) => setTimeout(resolve, GONE_MS));
      return process.call('burst', {
        keys: Array.from({ length: MISSES }, (_, index) => `down:${index}`),
        callersPerKey: 1,
        loadMs: LOAD_MS,
        isFailing: false,
        capMs: CAP_MS,
      });
    }),
  cells: ({ concurrentLoadsMax, values, rejections, empty, pending, ms }) => [
    String(concurrentLoadsMax),
    String(values),
    String(rejections + empty),
    String(pending),
    pending > 0 ? `>${CAP_MS}` : ms.toFixed(0),
  ],
};
