// npm run bench:strategies -- [--minutes 60]: an hour of 1,000 readers under each strategy, by the client itself on a clock that is moved by hand. Tables, and JSON as the last line.
import { parseArgs } from 'node:util';
import { type Hour, hourOf, type Situation } from './hour.ts';

const HOT: readonly Situation[] = [
  { name: 'GET, load, SET', family: undefined, keys: 1 },
  { name: 'the same, one load a process', family: undefined, isShared: true, keys: 1 },
  { name: 'single-flight (always on)', family: 'jitter: 0', keys: 1 },
  { name: 'with jitter: 10%', family: 'jitter: 10%', keys: 1 },
  { name: 'with stale: 60s', family: 'jitter: 0, stale: 60s', keys: 1 },
  { name: 'with early: 1', family: 'jitter: 0, early: 1', keys: 1 },
  { name: 'with jitter: 10%, early: 1', family: 'jitter: 10%, early: 1', keys: 1 },
];
const CROWD: readonly Situation[] = [
  { name: 'GET, load, SET', family: undefined, keys: 1000 },
  { name: 'single-flight, jitter: 0', family: 'jitter: 0', keys: 1000 },
  { name: 'with jitter: 10% (the default)', family: 'jitter: 10%', keys: 1000 },
  { name: 'with jitter: 50%', family: 'jitter: 50%', keys: 1000 },
  { name: 'with jitter: 10%, stale: 60s', family: 'jitter: 10%, stale: 60s', keys: 1000 },
];
const every = { keys: 1000, tagEveryMs: 600_000 } as const;
const TAGGED: readonly Situation[] = [
  { name: 'tag, jitter: 0', family: 'jitter: 0, tags: ["org:{org_id}"]', ...every },
  { name: 'tag, jitter: 10%', family: 'jitter: 10%, tags: ["org:{org_id}"]', ...every },
  { name: 'tag, jitter: 10%, stale: 60s', family: 'jitter: 10%, stale: 60s, tags: ["org:{org_id}"]', ...every },
];
const TABLES = [
  ['One hot key', HOT],
  ['1,000 keys, stored in one moment', CROWD],
  ['1,000 keys of one tag, which is invalidated every ten minutes', TAGGED],
] as const;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const lengthMs = Number(values.minutes) * 60_000;
const results: Record<string, Record<string, Hour>> = {};
for (const [title, situations] of TABLES) {
  const lines = [['', 'loads', 'worst second', 'at once', 'reads that waited', 'longest wait', 'refused']];
  for (const situation of situations) {
    process.stderr.write(`${title}: ${situation.name}\n`);
    const hour = await hourOf(situation, seeded(1), lengthMs);
    (results[title] ??= {})[situation.name] = hour;
    const { loads, worstSecond, atOnce, waited, longestWaitMs, refused } = hour;
    const numbers = [loads, worstSecond, atOnce, waited].map((number) => number.toLocaleString('en'));
    lines.push([situation.name, ...numbers, `${longestWaitMs} ms`, String(refused)]);
  }
  console.log(`${title}\n\n${tableOf(lines)}\n`);
}
console.log(JSON.stringify({ benchmark: 'strategies', node: process.version, results }));

function tableOf(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const texts = lines.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`);
  return [texts[0], `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...texts.slice(1)].join('\n');
}

/** Chance that repeats (mulberry32): each situation meets the same readers. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
