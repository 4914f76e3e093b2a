import { keyColumns } from '../../buffer/key-text.ts';
import type {
  BufferConfig,
  BusConfig,
  KafkaLogConfig,
  RedisStreamsLogConfig,
  RegionConfig,
} from '../../config/bus-config.ts';
import { checkCatalog, ruleTables } from '../../config/catalog-check.ts';
import { isCluster, keyspaceOf } from '../../config/region-keyspace.ts';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { hotTopicOf } from '../../drivers/kafka/hot-topic.ts';
import { PostgresBufferSink } from '../../drivers/postgres/buffer-sink.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { relayApplicationName } from '../../drivers/postgres/open-stream.ts';
import { readReplicaState } from '../../drivers/postgres/replica.ts';
import { readServerSettings } from '../../drivers/postgres/server-settings.ts';
import { readBufferDepth, readBufferServer } from '../../drivers/redis/buffer-log.ts';
import { findBuffers } from '../../drivers/redis/buffer-survey.ts';
import { connectRegion } from '../../drivers/redis/cluster-connection.ts';
import { cellsByMaster, mastersOf } from '../../drivers/redis/cluster-masters.ts';
import { connectRedis, type RedisConnection } from '../../drivers/redis/connection.ts';
import { readServerFacts, readSetting, sampleTtls } from '../../drivers/redis/server-facts.ts';
import { partitionsOf } from '../../drivers/redis/streams.ts';
import { isBusError } from '../../protocol/errors.ts';
import { wishOf } from '../commands/setup.ts';
import { readSetupFacts } from '../setup/facts.ts';
import { planSetup } from '../setup/plan.ts';
import { checkBuffer, checkForgotten } from './check-buffer.ts';
import { checkFile } from './check-file.ts';
import { checkHotTopic, checkLogRedis, checkTopic } from './check-log.ts';
import { checkCrashSign, checkPlan, checkServer } from './check-postgres.ts';
import { checkCache, checkDistinct, checkSpread } from './check-redis.ts';
import { checkReplica } from './check-replica.ts';
import { checkSlot } from './check-slot.ts';
import { fail, type Finding, ok } from './finding.ts';

const CONNECTION = 'afterwrite-doctor';

/** Stands in a plan that is only read. */
const SLOT_IDENTITY = '00000000';

/** A Redis server that was reached, so that two of one kind can be told from one. */
interface SeenServer {
  readonly name: string;
  readonly runId: string;
}

/** Looks at everything that the file names, and changes nothing. What cannot be reached is a finding too; the rest is looked at all the same. */
export async function examine(config: BusConfig): Promise<Finding[]> {
  let systemId: string | null = null;
  const source = await guarded('postgres', async () => {
    const seen = await examineSource(config);
    systemId = seen.systemId;
    return seen.findings;
  });
  const regions = [...config.regions.values()];
  const servers: SeenServer[] = [];
  const bufferServers = new Map<string, SeenServer>();
  const replicas = regions.flatMap(({ name, replicas: urls }) =>
    urls.map((url) => guarded(`replica of ${name}`, () => examineReplica(config.bus, name, url, systemId))),
  );
  const caches = regions.map((region) =>
    guarded(`redis of ${region.name}`, () => examineCache(config, region, servers)),
  );
  const buffers = [...config.buffers.values()].map((buffer) =>
    guarded(`buffer ${buffer.name}`, () => examineBuffer(config, buffer, bufferServers)),
  );
  const log = guarded('log', () => examineLog(config, servers));
  const targets = [...config.buffers.values()].map((buffer) =>
    guarded(`buffer ${buffer.name}`, () => examineTarget(config, buffer)),
  );
  const rest = await Promise.all([...replicas, ...caches, log, ...buffers, ...targets]);
  // Buffers may share a server with each other, and with nothing else.
  servers.push(...bufferServers.values());
  return [...source, ...rest.flat(), ...checkDistinct(servers.toSorted((a, b) => a.name.localeCompare(b.name)))];
}

async function guarded(subject: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!isBusError(error)) throw error;
    const at = error.at === undefined ? '' : ` (${error.at})`;
    return [fail(subject, `${error.code}${at}: ${error.message}`, error.hint)];
  }
}

async function examineSource(config: BusConfig): Promise<{ readonly findings: Finding[]; readonly systemId: string }> {
  return withPostgres(config.source.url, config.bus, async (sql) => {
    const settings = await readServerSettings(sql);
    // An identity that is too small may be wanted so (`setup --no-repair-identity`): it makes more old than need be, and is no fault.
    const wish = wishOf(config, false);
    const facts = await readSetupFacts(sql, wish);
    const findings = [
      ...checkServer(settings, relayApplicationName(config.bus)),
      ...(config.source.asynchronousCommits ? [checkCrashSign(settings)] : []),
      ...checkFile(checkCatalog(config, await readTables(sql, ruleTables(config)))),
      ...checkPlan(planSetup(wish, facts, SLOT_IDENTITY)),
      ...facts.slots.flatMap((slot) => checkSlot(slot, settings.horizonSlots)),
    ];
    return { findings, systemId: settings.systemId };
  });
}

async function examineReplica(
  bus: string,
  region: string,
  url: string,
  sourceSystemId: string | null,
): Promise<Finding[]> {
  return withPostgres(url, bus, async (sql) => {
    const settings = await readServerSettings(sql);
    const { timeline } = await readReplicaState(sql);
    return checkReplica({ ...settings, region, at: sql.at, isTimelineKnown: timeline > 0 }, sourceSystemId);
  });
}

async function examineCache(config: BusConfig, region: RegionConfig, servers: SeenServer[]): Promise<Finding[]> {
  const { name, redis: place } = region;
  const keyspace = keyspaceOf(config, region);
  // Without a prefix the pattern finds the records of every bus too, which have no TTL by design.
  const isValue = (key: string): boolean => !key.startsWith('afterwrite:');
  const isNamedCluster = isCluster(place);
  return withRedis(connectRegion(place, { name: CONNECTION }), async (redis) => {
    const findings: Finding[] = [];
    for (const { node, host } of mastersOf(redis)) {
      const [at, subject] = isNamedCluster
        ? [host, `redis of ${name} (${host})`]
        : [`the Redis of ${name}`, `redis of ${name}`];
      const facts = await readServerFacts(node, at);
      servers.push({ name: subject, runId: facts.runId });
      const ttls = await sampleTtls(node, at, keyspace.valueGlob('*'), isValue);
      const url = typeof place === 'string' ? place : `redis://${host}`;
      findings.push(...checkCache(subject, { ...facts, ...ttls, url, isNamedCluster }));
    }
    if (isNamedCluster) findings.push(checkSpread(`redis of ${name}`, cellsByMaster(redis, keyspace)));
    return findings;
  });
}

async function examineBuffer(
  { bus, buffers }: BusConfig,
  buffer: BufferConfig,
  servers: Map<string, SeenServer>,
): Promise<Finding[]> {
  return withRedis(connectRedis(buffer.redis, { name: CONNECTION }), async (redis) => {
    const facts = await readBufferServer(redis, `the Redis of ${buffer.name}`);
    const isFirst = !servers.has(facts.runId);
    servers.set(facts.runId, { name: `buffer ${buffer.name}`, runId: facts.runId });
    const found = await findBuffers(redis, bus);
    const shared = [...buffers.values()].filter((other) => other.redis === buffer.redis);
    return [
      ...checkBuffer(buffer, {
        ...facts,
        ...(await readBufferDepth(redis, bus, buffer)),
        partitions: found.get(buffer.name)?.partitions,
        bytesMaxOfAll: shared.reduce((sum, { bytesMax }) => sum + bytesMax, 0),
      }),
      ...(isFirst ? checkForgotten(new Set(buffers.keys()), found) : []),
    ];
  });
}

/** Whether the role of the source, which is the flusher's, could write what is buffered. */
async function examineTarget({ bus, source }: BusConfig, config: BufferConfig): Promise<Finding[]> {
  const sql = await connect(source.url, { applicationName: `afterwrite-doctor-${bus}`, findsUserNames: true });
  try {
    await new PostgresBufferSink((body) => body((text, values) => sql.query(text, values)), {
      bus,
      config,
      keyColumns,
    }).check();
    return [ok(`buffer ${config.name}`, 'its rows can be written')];
  } finally {
    await sql.close();
  }
}

async function examineLog({ bus, log }: BusConfig, servers: SeenServer[]): Promise<Finding[]> {
  return log.kind === 'kafka' ? examineTopic(bus, log) : examineStreams(bus, log, servers);
}

async function examineTopic(bus: string, log: KafkaLogConfig): Promise<Finding[]> {
  const admin = await createAdmin(log, `afterwrite-doctor-${bus}`);
  try {
    return [
      ...checkTopic(log, await admin.describe(), await admin.settings()),
      ...(await examineHotTopic(bus, hotTopicOf(log))),
    ];
  } finally {
    await admin.close();
  }
}

async function examineHotTopic(bus: string, topic: KafkaLogConfig): Promise<Finding[]> {
  const admin = await createAdmin(topic, `afterwrite-doctor-${bus}`);
  try {
    const settings = await admin.describe().then(
      () => admin.settings(),
      (error: unknown) => {
        if (isBusError(error, 'KAFKA_TOPIC_MISSING')) return undefined;
        throw error;
      },
    );
    return [checkHotTopic(topic, settings)];
  } finally {
    await admin.close();
  }
}

async function examineStreams(bus: string, log: RedisStreamsLogConfig, servers: SeenServer[]): Promise<Finding[]> {
  const subject = 'log in redis';
  return withRedis(connectRedis(log.url, { name: CONNECTION }), async (redis) => {
    const at = 'the Redis of the log';
    const { runId, version, maxmemoryPolicy } = await readServerFacts(redis, at);
    servers.push({ name: subject, runId });
    const appendonly = (await readSetting(redis, at, 'appendonly')) ?? 'unknown';
    const appendfsync = (await readSetting(redis, at, 'appendfsync')) ?? 'unknown';
    return [
      ...checkLogRedis({ url: log.url, version, appendonly, appendfsync, maxmemoryPolicy }),
      ...(await guarded(subject, async () => [ok(subject, `${await partitionsOf(redis, bus, log)} partitions`)])),
    ];
  });
}

async function withPostgres<T>(url: string, bus: string, body: (sql: Connection) => Promise<T>): Promise<T> {
  const sql = await connect(url, { applicationName: `afterwrite-doctor-${bus}` });
  try {
    return await body(sql);
  } finally {
    await sql.close();
  }
}

async function withRedis<T extends RedisConnection, R>(
  connecting: Promise<T>,
  body: (redis: T) => Promise<R>,
): Promise<R> {
  const redis = await connecting;
  try {
    return await body(redis);
  } finally {
    redis.disconnect();
  }
}
