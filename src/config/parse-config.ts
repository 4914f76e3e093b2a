import { readBuffers } from './buffers.ts';
import type { BusConfig, KafkaLogConfig, RedisStreamsLogConfig } from './bus-config.ts';
import { durationMs } from './duration.ts';
import { type FamilyNotes, readFamilies } from './families.ts';
import type { Fault } from './fault.ts';
import { fileSchema, type RawFile } from './file-schema.ts';
import { joinFiles } from './join-files.ts';
import { ruleHashOf } from './rule-hash.ts';
import { readSections } from './sections.ts';
import { readTagRules } from './tag-rules.ts';
import { readWarmup } from './warmup-schema.ts';
import { type Environment, parseYamlFile, type Path } from './yaml-file.ts';

export interface GivenFile {
  readonly name: string;
  readonly text: string;
}

export type ConfigResult =
  | { readonly kind: 'config'; readonly config: BusConfig; readonly warnings: readonly Fault[] }
  | { readonly kind: 'faults'; readonly faults: readonly Fault[]; readonly warnings: readonly Fault[] };

const DEFAULTS = {
  partitions: 12,
  replicationFactor: 3,
  retention: '72h',
  recordsMax: 1_000_000,
  keysPerTransactionMax: 10_000,
};

/** Reads the user's file, or several that are joined. All faults at once; warnings beside. Pure: files and environment are given. */
export function parseConfig(files: readonly GivenFile[], env: Environment): ConfigResult {
  const parsed = files.map((file) => parseYamlFile(file.name, file.text, env));
  const joined = joinFiles(parsed.filter((file) => file.value !== undefined));
  const faults: Fault[] = [...parsed.flatMap((file) => file.faults), ...joined.faults];
  const warnings: Fault[] = [];
  const noteIn =
    (list: Fault[]) =>
    (path: Path, message: string): void =>
      void list.push({ ...joined.placeOf(path), path: path.join('.'), message });
  const sections = readSections(fileSchema, joined);
  // One fault a place: a missing variable leaves an empty text, of which the schema would complain again.
  for (const fault of sections.faults)
    if (!faults.some((other) => other.file === fault.file && other.path === fault.path)) faults.push(fault);
  const isWhole = sections.faults.length === 0 && parsed.every((file) => file.value !== undefined);
  const note = noteIn(faults);
  // Of a file of which a part could not be read, nothing is said to be missing.
  if (parsed.every((file) => file.value !== undefined)) checkPresence(joined.value, note);
  const config = build(sections.raw, { fault: note, warn: isWhole ? noteIn(warnings) : () => undefined });
  const place = new Map(files.map((file, i) => [file.name, i]));
  const inOrder = (list: readonly Fault[]): Fault[] =>
    list.toSorted((a, b) => (place.get(a.file) ?? 0) - (place.get(b.file) ?? 0) || a.line - b.line);
  if (config === undefined || faults.length > 0)
    return { kind: 'faults', faults: inOrder(faults), warnings: inOrder(warnings) };
  return { kind: 'config', config, warnings: inOrder(warnings) };
}

const EXPECTED: Readonly<Record<string, string>> = {
  bus: 'the name of the bus is expected, such as bus: shop',
  source: 'the source is expected, such as source: { url: ${PG_URL} }',
  log: 'the log is expected, such as log: { kafka: { brokers: [kafka:9092] } }',
  regions: 'one region at least is expected, such as regions: { eu: { redis: ${REDIS_EU} } }',
  families: 'one family at least is expected: what is cached, and what makes it old',
};

function checkPresence(value: Readonly<Record<string, unknown>>, fault: FamilyNotes['fault']): void {
  for (const [section, expected] of Object.entries(EXPECTED)) {
    const given = value[section];
    const isEmpty = typeof given === 'object' && given !== null && Object.keys(given).length === 0;
    if (given === undefined || (isEmpty && (section === 'regions' || section === 'families')))
      fault([section], expected);
  }
}

function build(raw: RawFile, notes: FamilyNotes): BusConfig | undefined {
  const { bus, source, log, regions } = raw;
  const prefix = raw.prefix ?? `${bus ?? 'bus'}:`;
  const drafts = readFamilies(raw.families ?? {}, { name: bus ?? '', prefix }, notes);
  const tagRules = readTagRules(raw.tags ?? {}, drafts, notes);
  const buffers = readBuffers(raw.buffers ?? {}, notes.fault);
  if (bus === undefined || source === undefined || log === undefined || regions === undefined) return undefined;
  const slotPrefix = `afterwrite_${bus.replaceAll('-', '_')}`;
  const logConfig = log.kafka === undefined ? streamsLog(log.redisStreams) : kafkaLog(log.kafka, bus);
  const cells = logConfig.partitions;
  const withHash = (draft: (typeof drafts)[number]) => ({
    ...draft,
    ruleHash: ruleHashOf(draft, tagRules, { prefix, cells }),
  });
  return {
    bus,
    prefix,
    source: {
      url: source.url,
      publication: source.publication ?? slotPrefix,
      slotPrefix: source.slotPrefix ?? slotPrefix,
      asynchronousCommits: source.asynchronousCommits ?? true,
      eventTrigger: source.eventTrigger ?? false,
    },
    log: logConfig,
    regions: new Map(
      Object.entries(regions).map(([name, region]) => [
        name,
        { name, redis: region.redis, replicas: region.replicas ?? [] },
      ]),
    ),
    families: new Map(drafts.map((draft) => [draft.name, withHash(draft)])),
    tagRules,
    buffers,
    warmup: readWarmup(raw.warmup ?? {}, notes.fault),
    observe: raw.observe ?? false,
    keysPerTransactionMax: raw.limits?.keysPerTransactionMax ?? DEFAULTS.keysPerTransactionMax,
  };
}

type RawLog = NonNullable<RawFile['log']>;

function kafkaLog(raw: NonNullable<RawLog['kafka']>, bus: string): KafkaLogConfig {
  return {
    kind: 'kafka',
    brokers: raw.brokers,
    topic: raw.topic ?? `afterwrite.${bus}`,
    partitions: raw.partitions ?? DEFAULTS.partitions,
    replicationFactor: raw.replicationFactor ?? Math.min(DEFAULTS.replicationFactor, raw.brokers.length),
    retentionMs: durationMs(raw.retention ?? DEFAULTS.retention),
    ssl: raw.ssl ?? false,
    ...(raw.sasl === undefined ? {} : { sasl: raw.sasl }),
  };
}

function streamsLog(raw: RawLog['redisStreams']): RedisStreamsLogConfig {
  return {
    kind: 'redis-streams',
    url: raw?.url ?? '',
    partitions: raw?.partitions ?? DEFAULTS.partitions,
    recordsMax: raw?.recordsMax ?? DEFAULTS.recordsMax,
  };
}
