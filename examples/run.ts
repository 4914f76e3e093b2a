// npm run examples: runs every folder here that has an example.ts, on real servers, one after the other.
//   --only NAME,…   some of them
//   --json          as the last line one JSON object: { ok, seconds, examples: [{ name, ok, seconds, error? }] }
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { Ending } from '../src/cli/demo/ending.ts';
import { openStage, pathOf } from './stage.ts';

interface Ran {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly error?: string;
}

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const all = globSync('*/example.ts', { cwd: pathOf('.') })
  .map((file) => dirname(file))
  .toSorted();
const { only, json } = readOptions();
const unknown = only?.filter((name) => !all.includes(name)) ?? [];
if (unknown.length > 0 || only?.length === 0) {
  console.error(`There is no example "${unknown.join('", "')}". There are: ${all.join(', ')}.`);
  process.exit(EXIT_USAGE);
}

const ending = new Ending({ out: process.stdout, err: process.stderr });
const startedAt = performance.now();
const secondsSince = (since: number): number => Math.round((performance.now() - since) / 100) / 10;
const examples: Ran[] = [];
let failure: unknown;
try {
  console.log('Starting Postgres, Redis, a relay and an agent.');
  const stage = await openStage(all);
  try {
    console.log(`They are ready after ${secondsSince(startedAt)} s.`);
    for (const name of only ?? all) {
      if (ending.signal.aborted) break;
      examples.push(await ran(name, (signal) => stage.run(name, signal)));
    }
  } finally {
    await stage.close();
  }
} catch (error) {
  failure = error;
  console.error(error);
}
ending.close();
const ok = failure === undefined && examples.length === (only ?? all).length && examples.every((one) => one.ok);
const green = examples.filter((one) => one.ok).length;
console.log(`\n${green} of ${(only ?? all).length} examples are green, in ${secondsSince(startedAt)} s.`);
if (json) console.log(JSON.stringify({ ok, seconds: secondsSince(startedAt), examples }));
process.exitCode = ending.exitCode ?? (ok ? 0 : EXIT_FAILED);

async function ran(name: string, run: (signal: AbortSignal) => Promise<void>): Promise<Ran> {
  console.log(`\n${name}`);
  const since = performance.now();
  try {
    await run(ending.signal);
    console.log(`ok   ${name}, ${secondsSince(since)} s`);
    return { name, ok: true, seconds: secondsSince(since) };
  } catch (error) {
    console.error(error);
    console.log(`FAIL ${name}, ${secondsSince(since)} s`);
    return { name, ok: false, seconds: secondsSince(since), error: String(error) };
  }
}

function readOptions(): { readonly only: readonly string[] | undefined; readonly json: boolean } {
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'boolean', default: false } } });
    return { only: values.only?.split(',').filter((name) => name !== ''), json: values.json };
  } catch (error) {
    console.error(`${(error as Error).message}\nnpm run examples -- [--only NAME,…] [--json]`);
    process.exit(EXIT_USAGE);
  }
}
