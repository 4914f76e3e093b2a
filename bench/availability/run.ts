// npm run bench:availability [-- --log kafka|redis-streams] [--rounds 5] [--json]
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Gaps, RollingLab } from '../../test/support/rolling-lab.ts';
import { median } from '../peers/median.ts';

const { values } = parseArgs({
  options: {
    log: { type: 'string', default: 'kafka' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
if (values.log !== 'kafka' && values.log !== 'redis-streams') throw new RangeError(`No log is called "${values.log}".`);
const lab = await RollingLab.open(values.log);
const rounds: (Gaps & { readonly load: number })[] = [];
try {
  while (rounds.length < Number(values.rounds)) {
    const gaps = await lab.round();
    rounds.push({ ...gaps, load: Number(loadavg()[0]?.toFixed(1)) });
    console.error(`round ${rounds.length}: ${print(rounds.at(-1) ?? {})}`);
  }
  const missed = (await lab.missed()).length;
  const overall = (by: (figures: readonly number[]) => number): Record<string, number> =>
    Object.fromEntries(
      (['undisturbed', 'replaced', 'surged', 'killed', 'load'] as const).map((name) => [
        name,
        by(rounds.map((round) => round[name])),
      ]),
    );
  const result = { median: overall(median), max: overall((figures) => Math.max(...figures)) };
  if (values.json) console.log(JSON.stringify({ log: values.log, cores: cpus().length, rounds, ...result, missed }));
  else {
    console.log(`longest gap of any key from commit to eviction, in ms, on ${values.log}, ${cpus().length} cores`);
    for (const [name, figures] of Object.entries(result)) console.log(`${name.padEnd(7)} ${print(figures)}`);
    console.log(`missed  ${missed}`);
  }
  if (missed > 0) process.exitCode = 1;
} finally {
  await lab.close();
}

function print(figures: object): string {
  return Object.entries(figures)
    .map(([name, figure]) => `${name} ${name === 'load' ? figure : Math.round(Number(figure))}`)
    .join('  ');
}
