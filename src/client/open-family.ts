import type { Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { CacheFamily } from './cache-family.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { FamilyRule } from './family-rule.ts';
import { KeyPrinter } from './key-printer.ts';
import { LoaderOrigin, type Loaders } from './loader-origin.ts';
import type { KeyParams, Origin } from './origin.ts';
import { Reading } from './reading.ts';
import type { WritePorts } from './writing.ts';

/** Where families with a `source` are loaded. */
export interface OriginPorts {
  /** The origin of a family with a `source`. Missing where the application has given no pools. */
  readonly sourceOrigin?: (family: Family, rule: FamilyRule) => Origin;
  /** False where the application has given no pool of a replica: families that would read one read the primary. Default true. */
  readonly hasReplica?: boolean;
}

/** Where the file names no `source`: the family's loader, of one key or of many at once, which `getMany` calls once for all that it has to load. */
export interface FamilyOptions<T, P> extends Loaders<T, P> {
  /** Declares that the loader reads the primary: only then is what it loads stored. */
  readonly reads?: 'primary';
}

/** `ruleText` is the region’s for the family, where it is known. Throws `CACHE_LOADER_MISSING` or `CACHE_LOADER_TWICE`. */
export function openFamily(
  core: CacheCore,
  ports: OriginPorts & WritePorts,
  family: Family,
  ruleText: string | undefined,
  options: FamilyOptions<unknown, KeyParams> | undefined,
): CacheFamily {
  const { name, source, reads } = family;
  const hasLoader = options?.load !== undefined || options?.loadMany !== undefined;
  if (hasLoader && source !== undefined)
    throw new BusError('CACHE_LOADER_TWICE', `Family ${name} has a source in the file: take it out, or pass no load.`);
  const rule = new FamilyRule(family);
  const loader = hasLoader ? new LoaderOrigin(name, options, options.reads) : undefined;
  const origin = loader ?? sourceOriginOf(ports, family, rule);
  const context: FamilyContext = {
    family,
    rule,
    printer: new KeyPrinter(family, rule, core.cells),
    origin,
    sampler: core.hotKeys?.of(name),
    isProven: loader === undefined || options?.reads === 'primary',
    readsPrimary:
      loader === undefined ? reads === 'primary' || ports.hasReplica === false : options?.reads === 'primary',
  };
  if (!context.isProven) core.announcer.once('unproven', { family: name });
  const reading = new Reading(core, context);
  if (ruleText !== undefined) reading.learn(ruleText);
  return new CacheFamily(core, context, reading, ports);
}

function sourceOriginOf(ports: OriginPorts, family: Family, rule: FamilyRule): Origin {
  const { name, source } = family;
  if (source === undefined)
    throw new BusError(
      'CACHE_LOADER_MISSING',
      `Family ${name} has no source in the file: pass its loader as \`load\`.`,
    );
  const origin = ports.sourceOrigin?.(family, rule);
  if (origin === undefined)
    throw new BusError(
      'CACHE_LOADER_MISSING',
      `Family ${name} is loaded by its source in the file: pass the application’s pools as \`postgres\`.`,
    );
  return origin;
}
