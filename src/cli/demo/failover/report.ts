import { setTimeout as sleep } from 'node:timers/promises';
import { LiveBlock } from '../../live-block.ts';
import { tableOf } from '../../output.ts';
import type { DemoFrame } from '../frame.ts';
import type { FailoverScene } from './scene.ts';

/** Times in milliseconds, shares from 0 to 1. */
export interface Act {
  /** From when the empty Redis took connections until an agent had said that the region is COLD. */
  readonly detectedMs: number;
  /** From then until WARM; null where nothing warmed it. */
  readonly warmMs: number | null;
  /** From when the empty Redis took connections until, for 5 s, nearly all users had been there and the cache had answered 95% as many as before. Null: it was not. */
  readonly backMs: number | null;
  /** Before Redis was killed, and in the first 5 s in which users came again. */
  readonly hitRate: { readonly before: number; readonly after: number | null };
  /** As somebody feels it who asks the region's database itself: before, from the kill until it was back, and then. */
  readonly databaseP99Ms: {
    readonly quiet: number | null;
    readonly during: number | null;
    readonly after: number | null;
  };
  /** Values in the region's cache at the end that differ from the database. */
  readonly stale: number;
}

const EVERY_MS = { live: 500, plain: 5000 };
const LAST_MS = 2000;

/** Shows how it stands until the signal: on a terminal in place, in a pipe a line now and then. */
export async function showActs(
  { output, json }: DemoFrame,
  { users, database }: FailoverScene,
  phase: () => string,
  signal: AbortSignal,
): Promise<void> {
  const block = new LiveBlock(json ? output.err : output.out);
  while (!signal.aborted) {
    await sleep(block.isLive ? EVERY_MS.live : EVERY_MS.plain, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const nowMs = performance.now();
    const row = [
      phase(),
      percent(users.share(nowMs - LAST_MS, nowMs)),
      percent(users.hitRate(nowMs - LAST_MS, nowMs)),
      milliseconds(database.p99(nowMs - LAST_MS, nowMs)),
      String(users.failed),
    ];
    const lines = tableOf(['phase', 'users in eu', 'hit rate', 'database p99', 'failed reads'], [row]);
    block.show(
      block.isLive
        ? lines
        : [
            `${row[0]}: ${row[1]} of the users in eu, hit rate ${row[2]}, database p99 ${row[3]}, failed reads ${row[4]}`,
          ],
    );
  }
}

export function endObject(withWarmup: Act, withoutWarmup: Act): object {
  return { ...withWarmup, withoutWarmup };
}

export function endLines(withWarmup: Act, withoutWarmup: Act): string[] {
  const row = (name: string, of: (act: Act) => string): string[] => [name, of(withWarmup), of(withoutWarmup)];
  return [
    '',
    ...tableOf(
      ['', 'with a warm-up', 'without'],
      [
        row('an agent had noticed', ({ detectedMs }) => milliseconds(detectedMs)),
        row('warm', ({ warmMs }) => milliseconds(warmMs)),
        row('users back for 5 s, at 95% of the former hit rate', ({ backMs }) => milliseconds(backMs)),
        row('hit rate before', ({ hitRate }) => percent(hitRate.before)),
        row('hit rate of the first 5 s with users', ({ hitRate }) => percent(hitRate.after)),
        row('p99 of the database before', ({ databaseP99Ms }) => milliseconds(databaseP99Ms.quiet)),
        row('p99 of the database until it was back', ({ databaseP99Ms }) => milliseconds(databaseP99Ms.during)),
        row('p99 of the database after', ({ databaseP99Ms }) => milliseconds(databaseP99Ms.after)),
        row('stale values at the end', ({ stale }) => String(stale)),
      ],
    ),
  ];
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(share * 100).toFixed(1)}%`;
}

function milliseconds(ms: number | null): string {
  return ms === null ? '-' : `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}
