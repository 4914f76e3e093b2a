import type { GateAnswer, RegionGates } from '../../controller/region-gates.ts';
import type { RedisPlace } from '../../config/bus-config.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import { gateOf, type RampStep } from '../../protocol/region-gate.ts';
import { connectRegion } from './cluster-connection.ts';
import type { RedisConnection } from './connection.ts';
import { RedisGateStore } from './region-gate.ts';

export interface GatePlace {
  readonly redis: RedisPlace;
  /** The gate's key. */
  readonly key: string;
}

/** A region that is slow to answer must not hold up the others. */
const TIMEOUT_MS = 1000;

/** The gates of all regions, each by one connection that is made when it is needed, and made anew after it broke. */
export class RedisRegionGates implements RegionGates {
  readonly #places: ReadonlyMap<string, GatePlace>;
  readonly #name: string;
  readonly #ramp: readonly RampStep[];
  readonly #connections = new Map<string, Promise<RedisConnection>>();

  constructor(places: ReadonlyMap<string, GatePlace>, name: string, ramp: readonly RampStep[]) {
    this.#places = places;
    this.#name = name;
    this.#ramp = ramp;
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
    const connections = [...this.#connections.values()];
    this.#connections.clear();
    for (const connection of connections)
      await connection.then(
        (redis) => redis.disconnect(),
        () => undefined,
      );
  }

  async #with<T>(region: string, act: (gate: RedisGateStore) => Promise<T>): Promise<T> {
    const place = this.#places.get(region);
    if (place === undefined) throw new BusError('SETTING_INVALID', `The file has no region "${region}".`);
    const connecting = this.#connections.get(region) ?? this.#connect(region, place);
    try {
      return await act(new RedisGateStore(await connecting, place.key));
    } catch (error) {
      // A refusal of one command leaves a connection as it is; anything else is begun anew.
      if (!isBusError(error, 'REDIS_COMMAND_FAILED') && this.#connections.get(region) === connecting) {
        this.#connections.delete(region);
        connecting.then((redis) => redis.disconnect()).catch(() => undefined);
      }
      throw error;
    }
  }

  #connect(region: string, { redis }: GatePlace): Promise<RedisConnection> {
    const connecting = connectRegion(redis, {
      name: this.#name,
      commandTimeoutMs: TIMEOUT_MS,
      connectTimeoutMs: TIMEOUT_MS,
    });
    this.#connections.set(region, connecting);
    connecting.catch(() => undefined);
    return connecting;
  }
}
