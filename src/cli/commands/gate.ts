import type { BusConfig, RegionConfig } from '../../config/bus-config.ts';
import { keyspaceOf } from '../../config/region-keyspace.ts';
import { connectRegion } from '../../drivers/redis/cluster-connection.ts';
import { RedisGateStore } from '../../drivers/redis/region-gate.ts';
import { gateOf, type GateStore, type RampStep, type RegionGate } from '../../protocol/region-gate.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines } from '../output.ts';
import type { CommandContext } from './context.ts';

export interface GateOptions {
  /** Let everything in, whatever is warm. */
  readonly open: boolean;
}

/** `afterwrite gate --region eu [--open]`. */
export async function gateCommand(
  { output, json }: CommandContext,
  config: BusConfig,
  region: RegionConfig,
  { open }: GateOptions,
): Promise<number> {
  const redis = await connectRegion(region.redis, { name: `afterwrite-gate-${config.bus}` });
  try {
    const store = new RedisGateStore(redis, keyspaceOf(config, region).gate);
    const { gate, code } = await readOrOpen(store, open, config.warmup.ramp);
    if (json) printJson(output.out, { region: region.name, ...gate });
    else printLines(output.out, gateLines(region.name, gate));
    if (code === EXIT.moved) output.err.write('The region began anew meanwhile: nothing was opened. Ask again.\n');
    if (code === EXIT.failed) output.err.write('The region has no gate that could be opened: an agent makes one.\n');
    return code;
  } finally {
    redis.disconnect();
  }
}

/** Opens the gate that stands there, and no other that may have come since. */
export async function readOrOpen(
  store: Pick<GateStore, 'read' | 'open'>,
  isToOpen: boolean,
  ramp: readonly RampStep[],
): Promise<{ readonly gate: RegionGate; readonly code: number }> {
  const stored = await store.read();
  if (!isToOpen) return { gate: gateOf(stored, ramp), code: EXIT.ok };
  if (stored === null) return { gate: gateOf(null, ramp), code: EXIT.failed };
  const answer = await store.open(stored.epoch);
  return { gate: gateOf(await store.read(), ramp), code: answer === 'ok' ? EXIT.ok : EXIT.moved };
}

export function gateLines(region: string, { state, share, admit, reason, sinceMs, epoch }: RegionGate): string[] {
  const since = sinceMs === 0 ? '' : ` since ${new Date(sinceMs).toISOString()}`;
  return [
    `${region} is ${state}${since}: ${reason}`,
    `${percent(share)} of the hot reads are warm; ${percent(admit)} of the traffic may come`,
    ...(epoch === '' ? [] : [`epoch ${epoch}`]),
  ];
}

function percent(share: number): string {
  return `${Math.floor(share * 100)}%`;
}
