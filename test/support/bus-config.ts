import type { BusConfig, Family, Rule, TagRule } from '../../src/config/bus-config.ts';
import { WARMUP_DEFAULTS } from '../../src/config/warmup-schema.ts';
import { type KeyTemplate, parseKeyTemplate } from '../../src/protocol/key-template.ts';

export function template(text: string): KeyTemplate {
  const result = parseKeyTemplate(text);
  if (result.kind === 'fault') throw new Error(result.fault);
  return result.template;
}

/** A rule on a table of schema public, its columns in the order of the template's parameters. */
export function rule(table: string, ...columns: string[]): Rule {
  return { table: { schema: 'public', name: table }, columns };
}

export function family(name: string, key: string, rules: readonly Rule[], more: Partial<Family> = {}): Family {
  return {
    name,
    key: template(key),
    ttlMs: 300_000,
    jitter: 0,
    codec: 'json',
    compressBytes: 0,
    version: 0,
    early: 0,
    absentMs: 30_000,
    rules,
    tags: [],
    source: undefined,
    reads: 'primary',
    isLoadedElsewhere: false,
    isList: false,
    staleMs: 0,
    localMs: 0,
    isPlain: false,
    tooStale: 'fail',
    whenChanged: 'evict',
    ruleHash: '0123456789abcdef',
    ...more,
  };
}

/** A small valid bus for tests of what comes after the file. */
export function busConfig(
  families: readonly Family[],
  tagRules: readonly TagRule[] = [],
  more: Partial<BusConfig> = {},
): BusConfig {
  return {
    bus: 'shop',
    prefix: 'shop:',
    source: {
      url: 'postgres://nobody@127.0.0.1:1/none',
      publication: 'afterwrite_shop',
      slotPrefix: 'afterwrite_shop',
      asynchronousCommits: true,
      eventTrigger: false,
    },
    log: { kind: 'redis-streams', url: 'redis://127.0.0.1:1', partitions: 4, recordsMax: 1_000_000 },
    regions: new Map([['eu', { name: 'eu', redis: 'redis://127.0.0.1:1', replicas: [] }]]),
    families: new Map(families.map((one) => [one.name, one])),
    tagRules,
    buffers: new Map(),
    warmup: WARMUP_DEFAULTS,
    observe: false,
    keysPerTransactionMax: 10_000,
    ...more,
  };
}

/** The families of the shop that the examples use. */
export const USER = family('user', 'user:{id}', [rule('users', 'id')], { tags: [template('org:{org_id}')] });
export const ORG_MEMBERS = family('org-members', 'org:{org_id}:members', [rule('users', 'org_id')]);
export const ORG_TAG: TagRule = { tag: template('org:{id}'), rules: [rule('orgs', 'id')] };
