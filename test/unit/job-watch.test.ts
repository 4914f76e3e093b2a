import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobWatch } from '../../src/controller/job-watch.ts';
import type { WarmupJobs } from '../../src/controller/warmup-jobs.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';

test('a watch that failed goes on from the last list: the history that it knew may be another by now', async () => {
  const clock = new FakeClock();
  const from: string[] = [];
  // A server that was restored from a copy refuses what is of its future ("Too large resource version") for as long as it is.
  const watch: WarmupJobs['watch'] = (version) => {
    from.push(version);
    return Promise.reject(new BusError('KUBERNETES_OVERLOADED', 'Too large resource version'));
  };
  const jobWatch = new JobWatch({
    seat: { permit: () => ({ token: 1, remainingMs: () => 1000 }), outranked: () => undefined },
    jobs: { watch } as WarmupJobs,
    observer: { watchEnded: () => undefined } as never,
    clock,
    random: () => 0,
    pauseMs: 1000,
    ring: () => undefined,
  });
  const end = new AbortController();
  jobWatch.listedAt('900');
  const life = jobWatch.run(end.signal);
  await quiet();
  jobWatch.listedAt('20');
  await clock.advance(30_000);
  assert.deepEqual([from[0], from.at(-1)], ['900', '20']);
  end.abort();
  await clock.advance(1000);
  await life;
});
