import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.ts';

/** Between two changes. */
const CHANGE_EVERY_MS = 4;
const WATCH_EVERY_MS = 5;
/** A key that is there for so long after the last change counts as missed. */
const MISSED_AFTER_MS = 10_000;

export interface SteadyLoad {
  evicted(): number;
  /** From the answer to COMMIT until the key was seen to be gone, the longest since the start or the last reset; keys that still wait count too. */
  longestGapMs(): number;
  reset(): void;
  /** Ends the load. Returns the keys that were never evicted. */
  stop(): Promise<string[]>;
}

/** Puts a key of `users` in, changes its row, and waits until the key is gone, over many keys at once; notes how long each took. */
export function startSteadyLoad(stage: Pick<Stage, 'redis' | 'sql'>, users: number): SteadyLoad {
  let isRunning = true;
  let longest = 0;
  let evicted = 0;
  const waiting = new Map<number, number>();
  const keyOf = (id: number): string => `user:${id}`;
  const writing = (async () => {
    for (let n = 0; isRunning; n++) {
      const id = 1 + (n % users);
      if (!waiting.has(id)) {
        await stage.redis.set(keyOf(id), 'old', 'EX', 600);
        await stage.sql.query('update users set name = $1 where id = $2', [`load ${n}`, id]);
        waiting.set(id, performance.now());
      }
      await sleep(CHANGE_EVERY_MS);
    }
  })();
  const watching = (async () => {
    while (isRunning || waiting.size > 0) {
      const asked = [...waiting];
      const there = await Promise.all(asked.map(([id]) => stage.redis.exists(keyOf(id))));
      const now = performance.now();
      asked.forEach(([id, since], i) => {
        longest = Math.max(longest, now - since);
        if (there[i] === 0) evicted += Number(waiting.delete(id));
      });
      if (!isRunning && asked.some(([, since]) => now - since > MISSED_AFTER_MS)) return;
      await sleep(WATCH_EVERY_MS);
    }
  })();
  return {
    evicted: () => evicted,
    longestGapMs: () => longest,
    reset: () => (longest = 0),
    stop: async () => {
      isRunning = false;
      await writing;
      await watching;
      return [...waiting.keys()].map(keyOf);
    },
  };
}
