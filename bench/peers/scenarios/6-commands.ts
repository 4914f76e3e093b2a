import type { Entry } from '../calls.ts';
import { inLab, type Lab } from '../lab.ts';
import { type Scenario, type Unable, unable } from '../scenario.ts';

const ENTRIES = 10;

interface Commands {
  /** Mean of the entries, or of the one eviction. */
  readonly each: number;
  readonly commands: Readonly<Record<string, number>>;
  /** Loads where there were to be hits: then it is no hit that was counted. */
  readonly loads?: number;
}

interface Result {
  readonly localHit: Commands | Unable;
  readonly redisHit: Commands;
  readonly missAndFill: Commands;
  readonly keyEviction: Commands | Unable;
  readonly tagged:
    | Unable
    | { readonly redisHit: Commands; readonly missAndFill: Commands; readonly eviction: Commands | Unable };
}

function tally(commands: readonly string[], over: number, loads?: number): Commands {
  const counts: Record<string, number> = {};
  for (const command of commands) counts[command] = (counts[command] ?? 0) + 1;
  return { each: commands.length / over, commands: counts, ...(loads !== undefined && { loads }) };
}

async function reads(
  lab: Lab,
  process: Awaited<ReturnType<Lab['start']>>,
  entries: readonly Entry[],
): Promise<Commands> {
  let loads = 0;
  const commands = await lab.monitor.commandsOf(async () => {
    ({ loads } = await process.call('read', { entries, version: 1 }));
  });
  return tally(commands, entries.length, loads);
}

export const commands: Scenario<Result> = {
  number: 6,
  name: 'commands',
  title: `Commands sent to Redis (a script is one), each; the tag has ${ENTRIES} entries`,
  headings: ['local hit', 'Redis hit', 'miss + fill', 'evict key', 'tagged hit', 'tagged miss + fill', 'evict tag'],
  run: (peer, settings) =>
    inLab(peer, settings, async (lab) => {
      const { monitor, start } = lab;
      const filling = await start();
      const reading = await start();
      const plain = Array.from({ length: ENTRIES }, (_, index) => ({ key: `plain:${index}` }));
      const missAndFill = await reads(lab, filling, plain);
      // A library that keeps in memory what it has read, not what it has loaded, does so now.
      await reads(lab, filling, plain);
      const again = await reads(lab, filling, plain);
      const redisHit = await reads(lab, reading, plain);
      const keys = plain.map(({ key }) => key);
      const noEviction = peer.cannot('evictionOfItsOwn', settings);
      const eviction = async (work: () => Promise<unknown>, over: number): Promise<Commands | Unable> =>
        noEviction === undefined ? tally(await monitor.commandsOf(work), over) : unable(noEviction);
      const keyEviction = await eviction(() => filling.call('invalidateKeys', { keys }), ENTRIES);
      const noTags = peer.cannot('tags', settings);
      const noLocal = peer.cannot('memory', settings) ?? peer.cannot('memoryBesideRedis', settings);
      const result = {
        localHit: noLocal === undefined ? again : unable(noLocal),
        redisHit,
        missAndFill,
        keyEviction,
      };
      if (noTags !== undefined) return { ...result, tagged: unable(noTags) };
      const tagged = Array.from({ length: ENTRIES }, (_, index) => ({ key: `tagged:${index}`, tags: ['all'] }));
      const taggedFill = await reads(lab, filling, tagged);
      const taggedHit = await reads(lab, reading, tagged);
      const tagEviction = await eviction(() => filling.call('invalidateTags', { tags: ['all'] }), 1);
      return { ...result, tagged: { redisHit: taggedHit, missAndFill: taggedFill, eviction: tagEviction } };
    }),
  cells: ({ localHit, redisHit, missAndFill, keyEviction, tagged }) => [
    hitCell(localHit),
    hitCell(redisHit),
    String(missAndFill.each),
    evictionCell(keyEviction),
    ...('value' in tagged
      ? ['none', 'none', 'none']
      : [hitCell(tagged.redisHit), String(tagged.missAndFill.each), evictionCell(tagged.eviction)]),
  ],
};

function hitCell(hit: Commands | Unable): string {
  if ('value' in hit) return 'none';
  return hit.loads === 0 ? String(hit.each) : `${hit.each} (it loaded)`;
}

function evictionCell(eviction: Commands | Unable): string {
  return 'value' in eviction ? 'none' : String(eviction.each);
}
