import { randomBytes } from 'node:crypto';
import { ruleTables } from '../../config/catalog-check.ts';
import type { BusConfig, KafkaLogConfig } from '../../config/bus-config.ts';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { HOT_TOPIC_SETTINGS, hotTopicOf } from '../../drivers/kafka/hot-topic.ts';
import { connectRedis } from '../../drivers/redis/connection.ts';
import { createStreams, partitionsOf } from '../../drivers/redis/streams.ts';
import { isBusError } from '../../protocol/errors.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines } from '../output.ts';
import { applySetup } from '../setup/apply.ts';
import { readSetupFacts } from '../setup/facts.ts';
import { planSetup } from '../setup/plan.ts';
import type { SetupPlan, SetupWish } from '../setup/wish.ts';
import { type CommandContext, configOf, withSource } from './context.ts';

export interface SetupOptions {
  readonly dryRun: boolean;
  /** False: tables keep their replica identity, and changes that it cannot tell apart make whole families old. */
  readonly repairIdentity: boolean;
}

/** Making a slot waits for every transaction that is running. */
const STATEMENT_TIMEOUT_MS = 120_000;

export function wishOf(config: BusConfig, repairIdentity: boolean): SetupWish {
  const rules = [...config.families.values(), ...config.tagRules].flatMap((one) => one.rules);
  const tables = ruleTables(config).map((table) => {
    const mine = rules.filter((rule) => rule.table.schema === table.schema && rule.table.name === table.name);
    return { ...table, keyColumns: [...new Set(mine.flatMap((rule) => rule.columns))] };
  });
  const { publication, slotPrefix, eventTrigger } = config.source;
  return {
    bus: config.bus,
    publication,
    slotPrefix,
    eventTrigger,
    tables,
    hasBuffers: config.buffers.size > 0,
    repairIdentity,
  };
}

/** `afterwrite setup`: prints what it will do, then does it. A second run finds nothing to do. */
export async function setupCommand(context: CommandContext, options: SetupOptions): Promise<number> {
  const config = await configOf(context);
  const { out } = context.output;
  return withSource(
    config,
    'setup',
    async (sql) => {
      const wish = wishOf(config, options.repairIdentity);
      const plan = planSetup(wish, await readSetupFacts(sql, wish), randomBytes(4).toString('hex'));
      const log = await logStep(config);
      if (context.json) printJson(out, { dryRun: options.dryRun, ...plan, log: log.title });
      else printLines(out, planLines(plan, log.title));
      if (plan.refusals.length > 0) return EXIT.usage;
      const isDone = plan.steps.length === 0 && log.title === undefined;
      if (isDone && !context.json) printLines(out, ['Nothing to do: everything is in place.']);
      if (options.dryRun || isDone) return EXIT.ok;
      await applySetup(sql, plan, ({ title }) => !context.json && out.write(`… ${title}\n`));
      if (log.title !== undefined) await log.apply();
      if (!context.json) printLines(out, ['Done.']);
      return EXIT.ok;
    },
    STATEMENT_TIMEOUT_MS,
  );
}

function planLines({ steps, refusals, notes }: SetupPlan, logTitle: string | undefined): string[] {
  const lines = steps.flatMap(({ title, why, sql }, i) => [
    `${i + 1}. ${title}`,
    `   ${why}`,
    ...sql.map((statement) => `     ${statement.replaceAll('\n', '\n     ')};`),
  ]);
  if (logTitle !== undefined) lines.push(`${steps.length + 1}. ${logTitle}`);
  for (const note of notes) lines.push(`note: ${note}`);
  for (const { subject, why, repair } of refusals)
    lines.push(`refused: ${subject}: ${why}`, ...repair.map((sql) => `     ${sql}`));
  return lines;
}

interface LogStep {
  /** Undefined where the log is there. */
  readonly title: string | undefined;
  apply(): Promise<unknown>;
}

async function logStep(config: BusConfig): Promise<LogStep> {
  const { log, bus } = config;
  if (log.kind === 'kafka') {
    const hot = hotTopicOf(log);
    const exists = await withAdmin(bus, log, (admin) => present(admin.describe()));
    const hotExists = await withAdmin(bus, hot, (admin) => present(admin.describe()));
    const wanted = [
      ...(exists
        ? []
        : [`${log.topic} (${log.partitions} partitions, ${log.retentionMs / 3_600_000} h, cleanup.policy=delete)`]),
      ...(hotExists ? [] : [`${hot.topic} (hot keys: ${hot.partitions} partitions, cleanup.policy=compact)`]),
    ];
    return {
      title: wanted.length === 0 ? undefined : `Create the topic ${wanted.join(', and ')}`,
      apply: async () => {
        if (!exists) await withAdmin(bus, log, (admin) => admin.create());
        if (!hotExists) await withAdmin(bus, hot, (admin) => admin.create(HOT_TOPIC_SETTINGS));
      },
    };
  }
  const exists = await withLogRedis(log.url, (redis) => present(partitionsOf(redis, bus, log)));
  return {
    title: exists ? undefined : `Create the log in Redis Streams (${log.partitions} streams)`,
    apply: () => withLogRedis(log.url, (redis) => createStreams(redis, bus, log)),
  };
}

async function present(question: Promise<unknown>): Promise<boolean> {
  try {
    await question;
    return true;
  } catch (error) {
    if (isBusError(error, 'KAFKA_TOPIC_MISSING') || isBusError(error, 'LOG_MISSING')) return false;
    throw error;
  }
}

async function withAdmin<T>(
  bus: string,
  log: KafkaLogConfig,
  body: (admin: Awaited<ReturnType<typeof createAdmin>>) => Promise<T>,
): Promise<T> {
  const admin = await createAdmin(log, `afterwrite-setup-${bus}`);
  try {
    return await body(admin);
  } finally {
    await admin.close();
  }
}

async function withLogRedis<T>(
  url: string,
  body: (redis: Awaited<ReturnType<typeof connectRedis>>) => Promise<T>,
): Promise<T> {
  const redis = await connectRedis(url, { name: 'afterwrite-setup' });
  try {
    return await body(redis);
  } finally {
    redis.disconnect();
  }
}
