import type { Clock } from '../runtime/clock.ts';
import type { Shard, WarmGate } from './hot-keys.ts';
import type { WarmupEnd } from './warmup.ts';

/**
 * Redis acknowledges before its replica has a write ("Redis replication": asynchronous by default), and a failover may lose what is newer than this. Nobody
 * would say it again: the program ends with its success.
 */
const CONFIRM_MS = 1000;
/** Between two tries where the gate does not answer. */
const AGAIN_MS = 1000;

export interface TellWarmParts {
  readonly gate: WarmGate;
  readonly epoch: string;
  readonly shard: Shard;
  readonly share: number;
  readonly clock: Clock;
  readonly hindered: (error: unknown) => void;
}

/** Tells the gate that the shard is at its target, and a moment later once more: to a server that was promoted meanwhile, and has not heard it, too. */
export async function tellWarm(parts: TellWarmParts, stop: AbortSignal): Promise<WarmupEnd> {
  const { gate, epoch, shard, share, clock, hindered } = parts;
  let isTold = false;
  while (!stop.aborted) {
    try {
      const answers = [await gate.report(epoch, share, shard), await gate.warm(epoch, shard)];
      if (answers.includes('moved')) return { kind: 'moved' };
      if (isTold) return { kind: 'warm' };
      isTold = true;
      await clock.sleep(CONFIRM_MS, stop);
    } catch (error) {
      hindered(error);
      await clock.sleep(AGAIN_MS, stop);
    }
  }
  return { kind: isTold ? 'warm' : 'stopped' };
}
