import type { BusConfig, KafkaLogConfig, RedisStreamsLogConfig } from './bus-config.ts';
import { readFamilies, readTagRules } from './families.ts';
import type { Fault } from './fault.ts';
import { durationMs, familySchema, fileSchema, type RawFile } from './file-schema.ts';
import { joinFiles, type Joined } from './join-files.ts';
import { parseYamlFile, type Path } from './yaml-file.ts';
import { schemaFaults } from './schema-faults.ts';

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
export function parseConfig(
  files: readonly GivenFile[],
  env: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  const parsed = files.map((file) => parseYamlFile(file.name, file.text, env));
  const faults: Fault[] = parsed.flatMap((file) => file.faults);
  const warnings: Fault[] = [];
  // What is no YAML says nothing, and without it the rest cannot be judged.
  if (parsed.some((file) => file.value === undefined)) return { kind: 'faults', faults: inOrder(faults), warnings };
  const joined = joinFiles(parsed);
  faults.push(...joined.faults);
  const note =
    (list: Fault[]) =>
    (path: Path, message: string): void =>
      void list.push({ ...joined.placeOf(path), path: path.join('.'), message });
  const result = fileSchema.safeParse(joined.value);
  if (!result.success) {
    // One fault a place: a missing variable leaves an empty text, of which the schema would complain again.
    for (const fault of schemaFaults(result.error, fileSchema, joined)) {
      if (!faults.some((other) => other.file === fault.file && other.path === fault.path)) faults.push(fault);
    }
    readFamilies(soundFamilies(joined.value), 'unknown:', { fault: note(faults), warn: note(warnings) });
    return { kind: 'faults', faults: inOrder(faults), warnings };
  }
  const config = build(result.data, joined, note(faults), note(warnings));
  if (config === undefined || faults.length > 0) return { kind: 'faults', faults: inOrder(faults), warnings };
  return { kind: 'config', config, warnings };
}

/** The families that the schema accepts, in a file that it refuses: their rules are judged all the same. */
function soundFamilies(value: unknown): NonNullable<RawFile['families']> {
  const families = (value as { families?: unknown } | null)?.families;
  if (typeof families !== 'object' || families === null) return {};
  const sound = Object.entries(families).map(([name, raw]) => [name, familySchema.safeParse(raw)] as const);
  return Object.fromEntries(sound.flatMap(([name, { data }]) => (data === undefined ? [] : [[name, data]])));
}

function inOrder(faults: readonly Fault[]): Fault[] {
  return faults.toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
}

function build(
  raw: RawFile,
  joined: Joined,
  fault: (path: Path, message: string) => void,
  warn: (path: Path, message: string) => void,
): BusConfig | undefined {
  const { bus, source, log, regions } = raw;
  if (bus === undefined) fault(['bus'], 'the name of the bus is expected, such as bus: shop');
  if (source === undefined) fault(['source'], 'the source is expected, such as source: { url: ${PG_URL} }');
  if (log === undefined) fault(['log'], 'the log is expected, such as log: { kafka: { brokers: [kafka:9092] } }');
  if (regions === undefined || Object.keys(regions).length === 0)
    fault(['regions'], 'one region at least is expected, such as regions: { eu: { redis: ${REDIS_EU} } }');
  const prefix = raw.prefix ?? `${bus ?? ''}:`;
  const families = readFamilies(raw.families ?? {}, prefix, { fault, warn });
  if (families.size === 0 && Object.keys(raw.families ?? {}).length === 0)
    fault(['families'], 'one family at least is expected: what is cached, and what makes it old');
  const tagRules = readTagRules(raw.tags ?? {}, families, { fault, warn });
  if (bus === undefined || source === undefined || log === undefined || regions === undefined) return undefined;
  const slotName = bus.replaceAll('-', '_');
  return {
    bus,
    prefix,
    source: {
      url: source.url,
      publication: source.publication ?? `afterwrite_${slotName}`,
      slotPrefix: source.slotPrefix ?? `afterwrite_${slotName}`,
      asynchronousCommits: source.asynchronousCommits ?? true,
      eventTrigger: source.eventTrigger ?? false,
    },
    log: log.kafka === undefined ? streamsLog(log.redisStreams) : kafkaLog(log.kafka, bus),
    regions: new Map(
      Object.entries(regions).map(([name, region]) => [
        name,
        { name, redis: region.redis, replicas: region.replicas ?? [] },
      ]),
    ),
    families,
    tagRules,
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
