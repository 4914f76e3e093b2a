import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { checkCatalog, ruleTables } from '../../config/catalog-check.ts';
import type { BusConfig, Family, RegionConfig, Rule } from '../../config/bus-config.ts';
import { keyspaceOf } from '../../config/region-keyspace.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { quoteIdentifier } from '../../drivers/postgres/sql-text.ts';
import { connectRegion } from '../../drivers/redis/cluster-connection.ts';
import { ask, type RedisConnection } from '../../drivers/redis/connection.ts';
import { BusError } from '../../protocol/errors.ts';
import { cellOf, hashKey } from '../../protocol/key-hash.ts';
import { type KeyType, printKeyParameter } from '../../protocol/key-parameter.ts';
import { printKey } from '../../protocol/key-template.ts';
import { systemClock } from '../../runtime/clock.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines } from '../output.ts';
import { type CommandContext, withSource } from './context.ts';

export interface ProbeOptions {
  readonly family: string;
  readonly seconds: number;
}

/** What became of the two keys: the one whose row was written, and the one beside it, which no row is of. */
type Outcome = 'evicted' | 'stands' | 'both-gone';

const LOOK_MS = 50;
/** A value of ours outlives its probe by so much, should nobody be left to delete it. */
const SPARE_SECONDS = 60;
/** A whole number of the smallest type that a key may have. */
const SMALLINT = 32_767;

/**
 * `afterwrite probe --region eu --family probe`: puts a value into the region, writes the row that makes it old, and waits for it to be gone. A
 * second value, which no row is of, must still stand then: a Redis that was emptied, or that has no room, evicts without us.
 */
export async function probeCommand(
  context: CommandContext,
  config: BusConfig,
  region: RegionConfig,
  { family: name, seconds }: ProbeOptions,
): Promise<number> {
  const { family, rule } = probeRule(config, name);
  const keyspace = keyspaceOf(config, region);
  const result = await withSource(config, 'probe', async (sql) => {
    const { parameterTypes } = checkCatalog(config, await readTables(sql, ruleTables(config)));
    const type = parameterTypes.get(name)?.[0];
    if (type === undefined) throw unfit(name, 'its table does not give its key');
    const [written, other] = twoValues(type);
    const redisKey = (value: string): string => {
      const key = printKey(family.key, [printKeyParameter(type, value)]);
      return keyspace.valueKey(key, cellOf(hashKey(key), keyspace.cells));
    };
    const [key, beside] = [redisKey(written), redisKey(other)];
    const redis = await connectRegion(region.redis, { name: `afterwrite-probe-${config.bus}` });
    const table = `${quoteIdentifier(rule.table.schema)}.${quoteIdentifier(rule.table.name)}`;
    const column = quoteIdentifier(rule.columns[0] ?? '');
    try {
      for (const one of [key, beside]) await ask(redis, one, redis.set(one, 'a probe', 'EX', seconds + SPARE_SECONDS));
      await sql.query(`INSERT INTO ${table} (${column}) VALUES ($1)`, [written]);
      const startedMs = systemClock.monotonicMs();
      try {
        const outcome = await goneBy(redis, key, beside, startedMs + seconds * 1000);
        return { outcome, key, ms: Math.round(systemClock.monotonicMs() - startedMs) };
      } finally {
        await sql.query(`DELETE FROM ${table} WHERE ${column} = $1`, [written]);
        for (const one of [key, beside]) await ask(redis, one, redis.del(one));
      }
    } finally {
      redis.disconnect();
    }
  });
  if (context.json) printJson(context.output.out, { region: region.name, ...result });
  else printLines(context.output.out, [lineOf(region.name, seconds, result)]);
  return result.outcome === 'evicted' ? EXIT.ok : EXIT.failed;
}

/** The rule whose table the probe writes to. Throws `SETTING_INVALID`. */
function probeRule(config: BusConfig, name: string): { readonly family: Family; readonly rule: Rule } {
  if (config.observe)
    throw new BusError(
      'SETTING_INVALID',
      'The file has `observe: true`: agents evict nothing, so there is nothing to wait for.',
    );
  const family = config.families.get(name);
  if (family === undefined)
    throw new BusError(
      'SETTING_INVALID',
      `The file has no family "${name}"; it has ${[...config.families.keys()].join(', ')}.`,
    );
  const [rule, second] = family.rules;
  if (rule === undefined || second !== undefined || rule.columns.length !== 1)
    throw unfit(name, 'one table is expected in `on`, with one column');
  // What is loaded anew at once stands again before anybody looks.
  if (family.whenChanged !== 'evict') throw unfit(name, 'a change does not leave its values evicted');
  return { family, rule };
}

function unfit(name: string, why: string): BusError {
  return new BusError('SETTING_INVALID', `The family "${name}" cannot be probed: ${why}.`);
}

/** Two values that nobody else uses. Throws `SETTING_INVALID`. */
function twoValues(type: KeyType): readonly [string, string] {
  switch (type) {
    case 'text':
      return [`probe-${randomBytes(8).toString('hex')}`, `beside-${randomBytes(8).toString('hex')}`];
    case 'uuid':
      return [randomUUID(), randomUUID()];
    case 'integer': {
      const number = randomInt(SMALLINT);
      return [String(number), String(number + 1)];
    }
    case 'boolean':
    case 'date':
      throw new BusError(
        'SETTING_INVALID',
        `A column of text, uuid or a whole number is expected, and ${type} has no value that nobody else uses.`,
      );
  }
}

async function goneBy(redis: RedisConnection, key: string, beside: string, untilMs: number): Promise<Outcome> {
  const isThere = async (one: string): Promise<boolean> => (await ask(redis, one, redis.exists(one))) === 1;
  for (;;) {
    if (!(await isThere(key))) return (await isThere(beside)) ? 'evicted' : 'both-gone';
    if (systemClock.monotonicMs() >= untilMs) return 'stands';
    await systemClock.sleep(LOOK_MS, new AbortController().signal);
  }
}

function lineOf(
  region: string,
  seconds: number,
  { outcome, key, ms }: { outcome: Outcome; key: string; ms: number },
): string {
  switch (outcome) {
    case 'evicted':
      return `${region}: ${key} was gone ${ms} ms after its row was written.`;
    case 'stands':
      return `${region}: ${key} still stands ${seconds} s after its row was written: \`afterwrite status\` and \`afterwrite doctor\` say why.`;
    case 'both-gone':
      return `${region}: ${key} is gone, and so is a key that no row is of: the region's Redis was emptied, or has no room. Nothing is shown by that.`;
  }
}
