// npm run bench:client -- [--json] [--only NAME,...]: the client's figures, beside what they are to reach. See bench/README.md.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { fleet } from './fleet.ts';
import { hit } from './hit.ts';
import { hotKeys } from './hot-keys.ts';
import { localHit } from './local-hit.ts';
import { miss } from './miss.ts';
import { redisDown, redisFrozen } from './redis-away.ts';
import type { Row } from './row.ts';
import { settled } from './settled.ts';

const MEASUREMENTS: Readonly<Record<string, () => Promise<Row | Row[]>>> = {
  hit,
  'local-hit': localHit,
  'hot-keys': hotKeys,
  miss,
  fleet,
  down: redisDown,
  frozen: redisFrozen,
  'settled-kafka': () => settled('kafka'),
  'settled-redis-streams': () => settled('redis-streams'),
};

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false }, only: { type: 'string' } } });
const names = values.only?.split(',') ?? Object.keys(MEASUREMENTS);
const results: Record<string, unknown> = {};
const rows: Row[] = [];
for (const name of names) {
  const measure = MEASUREMENTS[name];
  if (measure === undefined) throw new Error(`No measurement ${name}: ${Object.keys(MEASUREMENTS).join(', ')}.`);
  process.stderr.write(`${name}\n`);
  const measured = [await measure()].flat();
  rows.push(...measured);
  results[name] = measured.map(({ data, isMet }) => ({ ...data, isMet }));
}
const widths = [
  Math.max(...rows.map(({ what }) => what.length)),
  Math.max(...rows.map(({ figure }) => figure.length)),
] as const;
for (const { what, figure, target, isMet } of rows)
  console.log(`${what.padEnd(widths[0])}   ${figure.padEnd(widths[1])}   ${target}${isMet ? '' : '   MISSED'}`);
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
if (values.json) console.log(JSON.stringify({ benchmark: 'client', machine, results }));
