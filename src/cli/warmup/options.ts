import { DURATION, durationMs } from '../../config/duration.ts';
import { BusError } from '../../protocol/errors.ts';
import { WHOLE } from '../../protocol/region-gate.ts';
import type { Shard } from '../../warmup/hot-keys.ts';
import type { WarmupEnd } from '../../warmup/warmup.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';

export const WARMUP_MODES = ['eager', 'shadow', 'gradual'] as const;

export interface WarmupOptions {
  readonly mode: (typeof WARMUP_MODES)[number];
  /** The region whose readers say what is hot. */
  readonly from: string;
  readonly isPlan: boolean;
  /** Of the region's gate, for which it was started; undefined: the one that it has then. */
  readonly epoch?: string;
  readonly shard: Shard;
  /** How long `shadow` goes on; undefined: until it is told to stop. */
  readonly forMs?: number;
  readonly json: boolean;
}

export interface WarmupFlags {
  readonly region: string;
  readonly mode: (typeof WARMUP_MODES)[number];
  readonly from?: string;
  readonly plan?: boolean;
  readonly shard?: string;
  readonly for?: string;
  readonly epoch?: string;
}

const EXIT_OF: Readonly<Record<WarmupEnd['kind'], ExitCode>> = {
  warm: EXIT.ok,
  stopped: EXIT.failed,
  short: EXIT.failed,
  never: EXIT.never,
  moved: EXIT.moved,
};

/**
 * What a warm-up's exit says of its end. A pod that a drained node asks to end, and that exits with 0, has succeeded as Kubernetes counts: its Job would be
 * complete, and the region never warm. `shadow` goes on until it is asked to end.
 */
export function exitOfEnd(end: WarmupEnd['kind'], mode: WarmupOptions['mode']): ExitCode {
  return end === 'stopped' && mode === 'shadow' ? EXIT.ok : EXIT_OF[end];
}

/** Throws `SETTING_INVALID`. `regions` are those of the file. */
export function readWarmupOptions(
  flags: WarmupFlags,
  regions: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  json: boolean,
): WarmupOptions {
  const { mode, region, from = region } = flags;
  const { epoch = env['AFTERWRITE_EPOCH'] } = flags;
  if (!regions.includes(from))
    throw new BusError('SETTING_INVALID', `--from: the file has no region "${from}"; it has ${regions.join(', ')}.`);
  if (mode === 'shadow' && from === region)
    throw new BusError('SETTING_INVALID', '--mode shadow follows another region: --from names it.');
  if (flags.for !== undefined && mode !== 'shadow')
    throw new BusError('SETTING_INVALID', '--for belongs to --mode shadow: the others end by themselves.');
  if (flags.for !== undefined && !DURATION.test(flags.for))
    throw new BusError('SETTING_INVALID', `--for: "${flags.for}" is no duration, such as 10m.`);
  return {
    mode,
    from,
    isPlan: flags.plan === true,
    shard: readShard(flags.shard, env),
    ...(epoch === undefined || epoch === '' ? {} : { epoch }),
    ...(flags.for === undefined ? {} : { forMs: durationMs(flags.for) }),
    json,
  };
}

/**
 * `i/n`, from 0. Kubernetes gives each pod of an Indexed Job its number in JOB_COMPLETION_INDEX
 * (https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode), and not how many there are: `--shard of/n` takes it from there.
 */
function readShard(text: string | undefined, env: Readonly<Record<string, string | undefined>>): Shard {
  if (text === undefined) return WHOLE;
  const [, index = '', count = ''] = /^(\d{1,4}|of)\/(\d{1,4})$/.exec(text) ?? [];
  const [shard, of] = [Number(index === 'of' ? env['JOB_COMPLETION_INDEX'] : index), Number(count)];
  if (count !== '' && Number.isInteger(shard) && shard < of) return { shard, of };
  throw new BusError(
    'SETTING_INVALID',
    `--shard: "${text}" is none: i/n is expected with i from 0 to n - 1, or of/n where JOB_COMPLETION_INDEX has i.`,
  );
}
