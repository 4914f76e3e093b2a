// npm run quiet -- [--minutes N] [--seed N] [--json]: a bus on real servers under a light load, disturbed at random; counts how often its region is taken for cold.
import { parseArgs } from 'node:util';
import { runQuietly } from '../test/support/quiet-run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const say = (line) => void (values.json || process.stderr.write(`${new Date().toISOString()} ${line}\n`));
const report = await runQuietly({ minutes: Number(values.minutes), seed: Number(values.seed), say });
if (values.json) console.log(JSON.stringify(report));
else console.log(report);
process.exitCode = report.falseAlarms === 0 ? 0 : 1;
