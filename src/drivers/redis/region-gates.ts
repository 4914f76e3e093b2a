import type { GateAnswer, RegionGates } from '../../controller/region-gates.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import { gateOf, type RampStep } from '../../protocol/region-gate.ts';
import { GateConnection, type GatePlace } from './gate-connection.ts';
import type { RedisGateStore } from './region-gate.ts';

/** A region that is slow to answer must not hold up the others. */
const TIMEOUT_MS = 1000;

/** The gates of all regions. */
export class RedisRegionGates implements RegionGates {
  readonly #ramp: readonly RampStep[];
  readonly #gates: ReadonlyMap<string, GateConnection>;

  constructor(places: ReadonlyMap<string, GatePlace>, name: string, ramp: readonly RampStep[]) {
    const options = { name, commandTimeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
    this.#ramp = ramp;
    this.#gates = new Map([...places].map(([region, place]) => [region, new GateConnection(place, options)]));
  }

  async read(region: string): Promise<GateAnswer> {
    try {
      const stored = await this.#with(region, (gate) => gate.read());
      return stored === null ? { kind: 'absent' } : { kind: 'gate', ...gateOf(stored, this.#ramp) };
    } catch (error) {
      if (!isBusError(error)) throw error;
      return { kind: 'unreachable', why: `${error.code}: ${error.message}` };
    }
  }

  open(region: string, epoch: string): Promise<'ok' | 'moved'> {
    return this.#with(region, (gate) => gate.open(epoch));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#gates.values()].map((gate) => gate.close()));
  }

  #with<T>(region: string, act: (gate: RedisGateStore) => Promise<T>): Promise<T> {
    const gate = this.#gates.get(region);
    if (gate === undefined)
      return Promise.reject(new BusError('SETTING_INVALID', `The file has no region "${region}".`));
    return gate.with(act);
  }
}
