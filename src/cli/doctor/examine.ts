import type { BusConfig, RegionConfig } from '../../config/bus-config.ts';
import { checkCatalog, ruleTables } from '../../config/catalog-check.ts';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { connect } from '../../drivers/postgres/connection.ts';
import { readServerSettings } from '../../drivers/postgres/server-settings.ts';
import { connectRedis, type RedisConnection } from '../../drivers/redis/connection.ts';
import { readServerFacts, readSetting, sampleTtls } from '../../drivers/redis/server-facts.ts';
import { isBusError } from '../../protocol/errors.ts';
import { wishOf } from '../commands/setup.ts';
import { readSetupFacts } from '../setup/facts.ts';
import { planSetup } from '../setup/plan.ts';
import { checkTopic } from './check-kafka.ts';
import { checkPlan, checkReplica, checkServer, checkSlots } from './check-postgres.ts';
import { checkCache, checkDistinct, checkLogRedis } from './check-redis.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

/** Looks at everything that the file names. What cannot be reached is a finding too; the rest is looked at all the same. */
export async function examine(config: BusConfig): Promise<Finding[]> {
  let systemId = '';
  const postgres = await guarded('postgres', async () => {
    const found = await examineSource(config);
    systemId = found.systemId;
    return found.findings;
  });
  const replicas = await Promise.all(
    [...config.regions.values()].map((region) =>
      guarded(`replica of ${region.name}`, () => examineReplicas(config, region, systemId)),
    ),
  );
  const servers: { name: string; runId: string }[] = [];
  const caches = await Promise.all(
    [...config.regions.values()].map((region) =>
      guarded(`redis of ${region.name}`, () => examineCache(config, region, servers)),
    ),
  );
  const log = await guarded('log', () => examineLog(config, servers));
  return [...postgres, ...replicas.flat(), ...caches.flat(), ...log, ...checkDistinct(servers)];
}

async function guarded(subject: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!isBusError(error)) throw error;
    return [fail(subject, `${error.code}: ${error.message}`, error.hint)];
  }
}

async function examineSource(config: BusConfig): Promise<{ readonly findings: Finding[]; readonly systemId: string }> {
  const sql = await connect(config.source.url, { applicationName: `afterwrite-doctor-${config.bus}` });
  try {
    const settings = await readServerSettings(sql);
    const catalog = checkCatalog(config, await readTables(sql, ruleTables(config)));
    const wish = wishOf(config, true);
    const facts = await readSetupFacts(sql, wish);
    return {
      systemId: settings.systemId,
      findings: [
        ...checkServer(settings, `afterwrite-relay-${config.bus}`),
        ...catalog.faults.map(({ path, message, repair }) => fail('file', `${path}: ${message}`, repair)),
        ...catalog.warnings.map(({ path, message, repair }) => warn('file', `${path}: ${message}`, repair)),
        ...(catalog.faults.length + catalog.warnings.length === 0
          ? [ok('file', 'its tables, columns and types are in the catalog')]
          : []),
        ...checkPlan(planSetup(wish, facts, '00000000')),
        ...checkSlots(facts.slots),
      ],
    };
  } finally {
    await sql.close();
  }
}

async function examineReplicas(config: BusConfig, region: RegionConfig, systemId: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const url of region.replicas) {
    const sql = await connect(url, { applicationName: `afterwrite-doctor-${config.bus}` });
    try {
      const { isInRecovery, systemId: itsSystemId } = await readServerSettings(sql);
      findings.push(checkReplica({ region: region.name, at: sql.at, isInRecovery, systemId: itsSystemId }, systemId));
    } finally {
      await sql.close();
    }
  }
  return findings;
}

async function examineCache(
  config: BusConfig,
  region: RegionConfig,
  servers: { name: string; runId: string }[],
): Promise<Finding[]> {
  return withRedis(region.redis, async (redis) => {
    const at = `the Redis of ${region.name}`;
    const facts = await readServerFacts(redis, at);
    servers.push({ name: `redis of ${region.name}`, runId: facts.runId });
    return checkCache(region.name, { ...facts, ...(await sampleTtls(redis, at, `${config.prefix}*`)) });
  });
}

async function examineLog({ bus, log }: BusConfig, servers: { name: string; runId: string }[]): Promise<Finding[]> {
  if (log.kind === 'kafka') {
    const admin = await createAdmin(log, `afterwrite-doctor-${bus}`);
    try {
      return checkTopic(log, await admin.describe(), await admin.settings());
    } finally {
      await admin.close();
    }
  }
  return withRedis(log.url, async (redis) => {
    const at = 'the Redis of the log';
    const facts = await readServerFacts(redis, at);
    servers.push({ name: 'log in redis', runId: facts.runId });
    const [appendonly, appendfsync] = await Promise.all([
      readSetting(redis, at, 'appendonly'),
      readSetting(redis, at, 'appendfsync'),
    ]);
    return checkLogRedis({
      appendonly: appendonly === 'yes',
      appendfsync: appendfsync ?? 'unknown',
      maxmemoryPolicy: facts.maxmemoryPolicy,
    });
  });
}

async function withRedis<T>(url: string, body: (redis: RedisConnection) => Promise<T>): Promise<T> {
  const redis = await connectRedis(url, { name: 'afterwrite-doctor' });
  try {
    return await body(redis);
  } finally {
    redis.disconnect();
  }
}
