import { alarmMs, describeLoss, EVERYSEC_LOSS_MS, lossFault } from '../../buffer/loss.ts';
import { type BufferServer, unfitness } from '../../buffer/server-fit.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import type { FoundBuffer } from '../../drivers/redis/buffer-survey.ts';
import { fail, type Finding, ok, warn } from './finding.ts';
import { redisRepair } from './repair.ts';

export interface BufferFacts extends BufferServer {
  /** 0 is without a limit. */
  readonly maxmemoryBytes: number;
  /** Of all buffers of the file in this server. */
  readonly bytesMaxOfAll: number;
  /** Entries that are not flushed, and the age of the oldest. */
  readonly entries: number;
  readonly oldestMs: number;
  /** As the server has it; undefined where nothing was ever buffered. */
  readonly partitions: number | undefined;
}

/** A buffer's Redis: it must never forget what it has acknowledged, by itself or by more than the file names. */
export function checkBuffer(config: BufferConfig, facts: BufferFacts): Finding[] {
  const subject = `buffer ${config.name}`;
  return [
    checkFit(subject, config, facts),
    checkLoss(subject, config, facts),
    checkMemory(subject, config, facts),
    ...checkPartitions(subject, config, facts),
    ...checkAge(subject, config, facts),
  ];
}

/** Buffers that a server has and the file has not: `servers` are what was found in each. */
export function checkForgotten(known: ReadonlySet<string>, found: ReadonlyMap<string, FoundBuffer>): Finding[] {
  return [...found]
    .filter(([name, { windows }]) => !known.has(name) && windows > 0)
    .map(([name, { windows }]) =>
      fail(
        `buffer ${name}`,
        `is not in the file, and its Redis holds ${windows} windows that nobody flushes: it was renamed or left out before it was empty. Put it back into the file until it is, with its name and its partitions`,
        'afterwrite flush',
      ),
    );
}

function checkFit(subject: string, { redis }: BufferConfig, facts: BufferFacts): Finding {
  const unfit = unfitness(facts);
  if (unfit === undefined) return ok(subject, 'its Redis drops nothing by itself: maxmemory-policy is noeviction');
  // Another server is needed where it is a replica or a cluster's node, and no setting makes one of it.
  return facts.maxmemoryPolicy === 'noeviction'
    ? fail(
        subject,
        `its Redis ${unfit}`,
        `redis: a server that is neither, such as ${facts.role === 'slave' ? 'its master' : 'one of its own'}`,
      )
    : fail(subject, `its Redis ${unfit}`, redisRepair(redis, [['maxmemory-policy', 'noeviction']]));
}

function checkLoss(subject: string, config: BufferConfig, facts: BufferFacts): Finding {
  const { appendonly, appendfsync, noFsyncOnRewrite } = facts;
  const fault = lossFault(config, facts);
  if (fault === undefined) return ok(subject, describeLoss(config.loss));
  // Where CONFIG is closed the service's own console has these, and CONFIG SET is closed too.
  if (appendonly === undefined || appendfsync === undefined)
    return fail(
      subject,
      fault,
      'CONFIG GET open to this role (ACL: +config|get); where a service closes it, a server that it does not run',
    );
  const wanted = config.loss.redisMs >= EVERYSEC_LOSS_MS ? 'everysec' : 'always';
  const isSynced = appendfsync === 'always' || appendfsync === wanted;
  return fail(
    subject,
    fault,
    redisRepair(config.redis, [
      ...(appendonly === 'yes' ? [] : [['appendonly', 'yes'] as const]),
      ...(isSynced ? [] : [['appendfsync', wanted] as const]),
      ...(noFsyncOnRewrite === 'yes' ? [['no-appendfsync-on-rewrite', 'no'] as const] : []),
    ]),
  );
}

/** Beside its entries' bytes a stream and what else there is take about as much again. */
const MEMORY_PER_BYTE = 2;

function checkMemory(
  subject: string,
  { bytesMax }: BufferConfig,
  { maxmemoryBytes, bytesMaxOfAll }: BufferFacts,
): Finding {
  if (maxmemoryBytes === 0 || maxmemoryBytes >= bytesMaxOfAll * MEMORY_PER_BYTE)
    return ok(subject, `has room for maxBytes (${bytesMax})`);
  const share = Math.floor((maxmemoryBytes / MEMORY_PER_BYTE) * (bytesMax / bytesMaxOfAll));
  return warn(
    subject,
    `maxmemory is ${maxmemoryBytes} and maxBytes of all buffers in it ${bytesMaxOfAll}: Redis will be full before they are, and then says so to all of them`,
    `maxBytes: ${share}`,
  );
}

function checkPartitions(subject: string, { partitions }: BufferConfig, facts: BufferFacts): Finding[] {
  if (facts.partitions === undefined || facts.partitions === partitions) return [];
  return [
    fail(
      subject,
      `has ${facts.partitions} partitions in its Redis and the file says ${partitions}: it is opened by nobody`,
      `partitions: ${facts.partitions}`,
    ),
  ];
}

function checkAge(subject: string, config: BufferConfig, { entries, oldestMs }: BufferFacts): Finding[] {
  if (entries === 0) return [ok(subject, 'all is flushed')];
  const message = `${entries} entries are not flushed, the oldest is ${oldestMs} ms old`;
  const limitMs = alarmMs(config);
  if (oldestMs <= limitMs) return [ok(subject, message)];
  return [fail(subject, `${message}: more than its loss names (${limitMs} ms)`, 'afterwrite flush')];
}
