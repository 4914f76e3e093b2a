import { type BufferServer, unfitness } from '../../buffer/server-fit.ts';
import { describeLoss, lossFault } from '../../buffer/loss.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import { fail, type Finding, ok, warn } from './finding.ts';
import { redisRepair } from './repair.ts';

export interface BufferFacts extends BufferServer {
  /** 0 is without a limit. */
  readonly maxmemoryBytes: number;
  /** Entries that are not flushed, and the age of the oldest. */
  readonly entries: number;
  readonly oldestMs: number;
}

/** A buffer's Redis: it must never forget what it has acknowledged, by itself or by more than the file names. */
export function checkBuffer(config: BufferConfig, facts: BufferFacts): Finding[] {
  const subject = `buffer ${config.name}`;
  const { redis: url } = config;
  const unfit = unfitness(facts);
  const fault = lossFault(config, facts);
  return [
    unfit === undefined
      ? ok(subject, 'its Redis drops nothing by itself: maxmemory-policy is noeviction')
      : fail(subject, `its Redis ${unfit}`, redisRepair(url, [['maxmemory-policy', 'noeviction']])),
    fault === undefined
      ? ok(subject, describeLoss(config.loss))
      : fail(
          subject,
          fault,
          redisRepair(url, [
            ['appendonly', 'yes'],
            ['appendfsync', 'always'],
          ]),
        ),
    checkMemory(subject, config, facts),
    ...checkAge(subject, config, facts),
  ];
}

/** Beside its entries' bytes a stream and what else there is take about as much again. */
const MEMORY_PER_BYTE = 2;

function checkMemory(subject: string, { bytesMax }: BufferConfig, { maxmemoryBytes }: BufferFacts): Finding {
  if (maxmemoryBytes === 0 || maxmemoryBytes >= bytesMax * MEMORY_PER_BYTE)
    return ok(subject, `has room for maxBytes (${bytesMax})`);
  return warn(
    subject,
    `maxmemory is ${maxmemoryBytes} and maxBytes ${bytesMax}: Redis will be full before the buffer is, and then says so to all buffers in it`,
    `maxBytes: ${Math.floor(maxmemoryBytes / MEMORY_PER_BYTE)}`,
  );
}

function checkAge(subject: string, { loss }: BufferConfig, { entries, oldestMs }: BufferFacts): Finding[] {
  if (entries === 0) return [ok(subject, 'all is flushed')];
  const message = `${entries} entries are not flushed, the oldest is ${oldestMs} ms old`;
  if (oldestMs <= loss.diskMs) return [ok(subject, message)];
  return [fail(subject, `${message}: more than loss.disk names (${loss.diskMs} ms)`, 'afterwrite flush')];
}
