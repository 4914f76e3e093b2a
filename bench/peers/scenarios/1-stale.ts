import type { Peer, Settings } from '../adapter.ts';
import type { Entry } from '../calls.ts';
import { inLab, type Lab } from '../lab.ts';
import type { PeerProcess } from '../peer-process.ts';
import { type Scenario, type Unable, unable } from '../scenario.ts';

const TRIALS = 20;
const OLD = 1;
const NEW = 2;

interface Stale {
  readonly trials: number;
  /** Trials after which a process that has just started is served the old row. */
  readonly freshProcess: number;
  /** Trials after which the process that loaded goes on serving the old row. */
  readonly loadingProcess: number;
}

interface Result {
  readonly sameProcess: Stale;
  readonly otherProcess: Stale;
  readonly byTag: Stale | Unable;
  readonly externalDel: Stale;
}

/** Each trial has a key and a tag of its own, and all trials cross their loads at the same time. */
const ENTRIES: readonly Entry[] = Array.from({ length: TRIALS }, (_, index) => ({ key: `row:${index}` }));
const TAGGED = ENTRIES.map(({ key }) => ({ key, tags: [`of:${key}`] }));

/**
 *     loader         reads v1 ───────────────────────────────────────── returns v1, the library stores
 *     row                       becomes v2
 *     invalidation                         done, and told to everybody
 *     fresh process                                                                          reads: v1 is stale, v2 is right
 */
async function cross(
  { monitor, start }: Lab,
  entries: readonly Entry[],
  invalidate: (loading: PeerProcess) => Promise<unknown>,
): Promise<Stale> {
  const loading = await start();
  await loading.call('hold', { entries, version: OLD });
  await invalidate(loading);
  // A message to other processes may be on its way, and is given the time to arrive.
  await monitor.quiet();
  await loading.call('release', {});
  await monitor.quiet();
  const fresh = await start();
  const first = await fresh.call('read', { entries, version: NEW });
  await monitor.quiet();
  // Again: a library that does not wait for Redis answers the first time from its loader.
  const second = await fresh.call('read', { entries, version: NEW });
  const later = await loading.call('read', { entries, version: NEW });
  const isOld = (version: number | null | undefined): boolean => version === OLD;
  return {
    trials: TRIALS,
    freshProcess: entries.filter((_, index) => isOld(first.versions[index]) || isOld(second.versions[index])).length,
    loadingProcess: later.versions.filter(isOld).length,
  };
}

async function crossDel(lab: Lab): Promise<Stale> {
  const writing = await lab.start();
  await writing.call('read', { entries: ENTRIES, version: OLD });
  await lab.monitor.quiet();
  const stored = await lab.redis.keys('*');
  const names = stored.filter((name) => ENTRIES.some(({ key }) => name.endsWith(key) || name.includes(`${key}:`)));
  if (names.length < TRIALS) throw new Error(`Only ${names.length} of ${TRIALS} keys were found in Redis`);
  await writing.kill();
  await lab.redis.del(...names);
  const keys = ENTRIES.map(({ key }) => key);
  return cross(lab, ENTRIES, async (loading) => {
    await loading.call('changeUntold', { keys });
    await lab.redis.del(...names);
  });
}

export const stale: Scenario<Result> = {
  number: 1,
  name: 'stale',
  title: `Old rows served after an invalidation crossed a load, of ${TRIALS}: by a fresh process / by the one that loaded`,
  headings: ['same process', 'other process', 'by tag', 'external DEL'],
  run: async (peer: Peer, settings: Settings) => {
    const noTags = peer.cannot('tags', settings);
    const tags = TAGGED.flatMap((entry) => entry.tags);
    const keys = ENTRIES.map(({ key }) => key);
    // Two at a time: each spends most of its time on the start of its processes.
    const [sameProcess, otherProcess] = await Promise.all([
      inLab(peer, settings, (lab) => cross(lab, ENTRIES, (loading) => loading.call('invalidateKeys', { keys }))),
      inLab(peer, settings, async (lab) => {
        const other = await lab.start();
        return cross(lab, ENTRIES, () => other.call('invalidateKeys', { keys }));
      }),
    ]);
    const [byTag, externalDel] = await Promise.all([
      noTags === undefined
        ? inLab(peer, settings, (lab) => cross(lab, TAGGED, (loading) => loading.call('invalidateTags', { tags })))
        : unable(noTags),
      inLab(peer, settings, crossDel),
    ]);
    return { sameProcess, otherProcess, byTag, externalDel };
  },
  cells: ({ sameProcess, otherProcess, byTag, externalDel }) =>
    [sameProcess, otherProcess, byTag, externalDel].map((each) =>
      'value' in each ? 'none' : `${each.freshProcess} / ${each.loadingProcess}`,
    ),
};
