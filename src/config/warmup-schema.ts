import { z } from 'zod';
import { durationMs } from './duration.ts';
import type { WarmupConfig } from './bus-config.ts';
import { count, duration, share } from './file-fields.ts';
import type { NoteFault } from './rules.ts';
import { shareOf } from './share.ts';

const step = z.strictObject(
  {
    share: share('the share of reads that is warm', 99.99).describe('From this share of warm reads on …'),
    admit: share('the share of traffic that may come', 99.99).describe('… so much of the traffic may come.'),
  },
  { error: 'a step is expected, such as { share: 80%, admit: 25% }' },
);

export const warmupSchema = z
  .strictObject(
    {
      target: share('the share of reads at which a region is warm', 99.99)
        .describe(
          'The share of reads of hot keys that the cache must answer, for the region to be warm. Default `95%`.',
        )
        .optional(),
      ramp: z
        .array(step, { error: 'a list of steps is expected, such as [{ share: 80%, admit: 25% }]' })
        .describe(
          'How much traffic may come while the region warms: the highest step that is reached. Below the first nothing, at the target everything. Default 5% from 50%, 25% from 80%, 50% from 90%.',
        )
        .optional(),
      rampStep: duration('how long a step lasts')
        .describe('How long each step of `ramp` lasts in `warmup --mode gradual`, which loads nothing. Default `2m`.')
        .optional(),
      concurrencyMin: count('the number of statements', 64)
        .describe('Statements at a time at least, however slow the database is. Default 1.')
        .optional(),
      concurrencyMax: count('the number of statements', 256)
        .describe(
          'Statements at a time at most, however fast the database is: so many connections it must have to spare. Default 8.',
        )
        .optional(),
      batchMax: count('the number of keys', 1000)
        .describe('Keys of a statement at most: what it reads it reads in one go, and others wait. Default 100.')
        .optional(),
      latencyMax: duration('what a statement may take')
        .describe(
          'A statement that takes longer is too slow, whatever the lowest that was seen: less is asked for. Default `250ms`.',
        )
        .optional(),
      hotKeys: count('the number of keys', 1_000_000)
        .describe(
          'Keys of a family that agents remember and publish as read much, at most; each takes some 200 bytes of one agent. Default 100,000.',
        )
        .optional(),
      statementTimeout: duration('when a statement is cancelled')
        .describe('A statement that takes longer is cancelled by Postgres (`statement_timeout`). Default `5s`.')
        .optional(),
    },
    { error: 'a map of what a warm-up keeps to is expected, such as { target: 95% }' },
  )
  .describe('How a region is warmed: until when, and how much of the database it may take.');

export const WARMUP_DEFAULTS: WarmupConfig = {
  target: 0.95,
  // A database bears little of what a cache has kept from it: until half of the reads are warm nothing is let in.
  ramp: [
    { share: 0.5, admit: 0.05 },
    { share: 0.8, admit: 0.25 },
    { share: 0.9, admit: 0.5 },
  ],
  rampStepMs: 120_000,
  concurrencyMin: 1,
  concurrencyMax: 8,
  batchMax: 100,
  latencyMaxMs: 250,
  statementTimeoutMs: 5000,
  hotKeys: 100_000,
};

export function readWarmup(raw: z.infer<typeof warmupSchema>, fault: NoteFault): WarmupConfig {
  const orDefault = (text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : durationMs(text);
  const ramp =
    raw.ramp?.map((one) => ({ share: shareOf(one.share), admit: shareOf(one.admit) })) ?? WARMUP_DEFAULTS.ramp;
  const config: WarmupConfig = {
    target: raw.target === undefined ? WARMUP_DEFAULTS.target : shareOf(raw.target),
    ramp,
    rampStepMs: orDefault(raw.rampStep, WARMUP_DEFAULTS.rampStepMs),
    concurrencyMin: raw.concurrencyMin ?? WARMUP_DEFAULTS.concurrencyMin,
    concurrencyMax: raw.concurrencyMax ?? WARMUP_DEFAULTS.concurrencyMax,
    batchMax: raw.batchMax ?? WARMUP_DEFAULTS.batchMax,
    latencyMaxMs: orDefault(raw.latencyMax, WARMUP_DEFAULTS.latencyMaxMs),
    statementTimeoutMs: orDefault(raw.statementTimeout, WARMUP_DEFAULTS.statementTimeoutMs),
    hotKeys: raw.hotKeys ?? WARMUP_DEFAULTS.hotKeys,
  };
  if (config.concurrencyMin > config.concurrencyMax)
    fault(['warmup', 'concurrencyMin'], `is more than concurrencyMax (${config.concurrencyMax})`);
  if (
    ramp.some(
      ({ share: at, admit }, i) => i > 0 && (at <= (ramp[i - 1]?.share ?? 0) || admit < (ramp[i - 1]?.admit ?? 0)),
    )
  )
    fault(['warmup', 'ramp'], 'goes down: each step is expected at a larger share, and to admit no less');
  if (config.latencyMaxMs > config.statementTimeoutMs)
    fault(['warmup', 'latencyMax'], `is longer than statementTimeout (${config.statementTimeoutMs} ms)`);
  return config;
}
