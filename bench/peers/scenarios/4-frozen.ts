import type { GuardedProcess } from '../../../src/stack/guarded-process.ts';
import type { RedisServer } from '../../../src/stack/redis.ts';
import { inLab } from '../lab.ts';
import { median } from '../median.ts';
import type { Scenario } from '../scenario.ts';

const PROCESSES = 3;
const LOAD_MS = 5;
const CAP_MS = 10_000;

interface Result {
  /** Until the get of a miss returned, a process; the cap stands for "not by then". */
  readonly ms: readonly number[];
  /** Their median. A string where it is the cap. */
  readonly medianMs: number | string;
  readonly outcomes: readonly string[];
  readonly uncaught: number;
}

export const frozen: Scenario<Result> = {
  number: 4,
  name: 'frozenRedis',
  title: `Milliseconds until a miss returns while Redis is frozen (SIGSTOP), loader ${LOAD_MS} ms (median of ${PROCESSES} processes)`,
  headings: ['ms', 'outcome'],
  run: (peer, settings) =>
    inLab(peer, settings, async ({ server, start }) => {
      const redis = processOf(server);
      const processes = await Promise.all(Array.from({ length: PROCESSES }, () => start()));
      redis.kill('SIGSTOP');
      try {
        const results = await Promise.all(
          processes.map((process, index) =>
            process.call('burst', {
              keys: [`frozen:${index}`],
              callersPerKey: 1,
              loadMs: LOAD_MS,
              isFailing: false,
              capMs: CAP_MS,
            }),
          ),
        );
        const ms = results.map((result) => result.ms);
        const middle = median(ms);
        return {
          ms,
          medianMs: middle >= CAP_MS ? `>${CAP_MS}` : middle,
          outcomes: results.map(({ pending, values, errorNames }) => {
            if (pending > 0) return 'no answer';
            return values > 0 ? 'value' : (errorNames[0] ?? 'undefined');
          }),
          uncaught: results.reduce((sum, { uncaught }) => sum + uncaught, 0),
        };
      } finally {
        redis.kill('SIGCONT');
      }
    }),
  cells: ({ medianMs, outcomes }) => [
    typeof medianMs === 'number' ? medianMs.toFixed(0) : medianMs,
    [...new Set(outcomes)].join(', '),
  ],
};

/** The server's process, to send signals to. */
export function processOf(server: RedisServer): GuardedProcess {
  if (server.process === undefined)
    throw new Error('To freeze or kill Redis, its process must be ours: install redis-server on this machine.');
  return server.process;
}
