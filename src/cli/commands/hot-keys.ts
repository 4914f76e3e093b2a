import { openHotKeyLog } from '../../drivers/hot-key-log.ts';
import { BusError } from '../../protocol/errors.ts';
import type { HotKey, HotKeyLog } from '../../protocol/hot-key.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines, tableOf } from '../output.ts';
import { type CommandContext, configOf, regionOf } from './context.ts';

export interface HotKeysOptions {
  readonly region: string;
  /** One of the file's; undefined for all. */
  readonly family: string | undefined;
  readonly top: number;
}

export interface FamilyHotKeys {
  /** All that are published. */
  readonly keys: number;
  readonly readsPerSecond: number;
  /** When the last of its buckets was published. */
  readonly asOf: string;
  readonly top: readonly HotKey[];
}

/** `afterwrite hot-keys`: what is published of a region, hottest first. */
export async function hotKeysCommand(context: CommandContext, options: HotKeysOptions): Promise<number> {
  const config = await configOf(context);
  const { region, family } = options;
  regionOf(config, region);
  if (family !== undefined && !config.families.has(family))
    throw new BusError('SETTING_INVALID', `The file has no family "${family}".`);
  const log = await openHotKeyLog(config);
  try {
    const skipped: BusError[] = [];
    const families = await readHotKeys(log, options, (error) => skipped.push(error));
    if (context.json)
      printJson(context.output.out, { region, families: Object.fromEntries(families), skipped: skipped.length });
    else printLines(context.output.out, hotKeysLines(region, families));
    for (const { code, message, at } of skipped) context.output.err.write(`warning: ${code} (${at}): ${message}\n`);
    return skipped.length === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await log.close();
  }
}

/** The hottest of each family; of a bucket no more can be among them than are wanted at all. */
export async function readHotKeys(
  log: HotKeyLog,
  { region, family, top }: HotKeysOptions,
  skipped: (error: BusError) => void,
): Promise<ReadonlyMap<string, FamilyHotKeys>> {
  const families = new Map<string, FamilyHotKeys>();
  for await (const bucket of log.read(region, skipped)) {
    if (family !== undefined && bucket.family !== family) continue;
    const known = families.get(bucket.family);
    const asOf = new Date(bucket.atMs).toISOString();
    families.set(bucket.family, {
      keys: (known?.keys ?? 0) + bucket.keys.length,
      readsPerSecond: bucket.keys.reduce((sum, key) => sum + key.readsPerSecond, known?.readsPerSecond ?? 0),
      asOf: known === undefined || known.asOf < asOf ? asOf : known.asOf,
      top: [...(known?.top ?? []), ...bucket.keys.slice(0, top)]
        .toSorted((a, b) => b.readsPerSecond - a.readsPerSecond)
        .slice(0, top),
    });
  }
  return new Map([...families].toSorted(([, a], [, b]) => b.readsPerSecond - a.readsPerSecond));
}

export function hotKeysLines(region: string, families: ReadonlyMap<string, FamilyHotKeys>): string[] {
  if (families.size === 0) return [`Nothing is published of ${region} yet.`];
  return [...families].flatMap(([family, { keys, readsPerSecond, asOf, top }], i) => [
    ...(i === 0 ? [] : ['']),
    `${family}: ${keys} keys, ${perSecond(readsPerSecond)} reads a second, as of ${asOf}`,
    ...tableOf(
      ['key', 'reads/s', 'load', 'bytes'],
      top.map((one) => [
        one.key,
        perSecond(one.readsPerSecond),
        one.loadMs === 0 ? '-' : `${one.loadMs} ms`,
        one.bytes === 0 ? '-' : String(one.bytes),
      ]),
    ),
  ]);
}

function perSecond(rate: number): string {
  return rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3);
}
