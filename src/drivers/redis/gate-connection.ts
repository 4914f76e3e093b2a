import type { RedisPlace } from '../../config/bus-config.ts';
import { isBusError } from '../../protocol/errors.ts';
import { connectRegion } from './cluster-connection.ts';
import type { ConnectOptions, RedisConnection } from './connection.ts';
import { RedisGateStore } from './region-gate.ts';

export interface GatePlace {
  readonly redis: RedisPlace;
  /** The gate's key. */
  readonly key: string;
}

/** The gate of a region, by one connection that is made when it is needed, and made anew after it broke: a promotion has another server answer. */
export class GateConnection {
  readonly #place: GatePlace;
  readonly #options: ConnectOptions;
  #connecting: Promise<RedisConnection> | undefined;

  constructor(place: GatePlace, options: ConnectOptions) {
    this.#place = place;
    this.#options = options;
  }

  async with<T>(act: (gate: RedisGateStore) => Promise<T>): Promise<T> {
    const connecting = (this.#connecting ??= connectRegion(this.#place.redis, this.#options));
    try {
      return await act(new RedisGateStore(await connecting, this.#place.key));
    } catch (error) {
      // A refusal of one command leaves a connection as it is; anything else is begun anew.
      if (!isBusError(error, 'REDIS_COMMAND_FAILED') && this.#connecting === connecting) await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const connecting = this.#connecting;
    this.#connecting = undefined;
    await connecting?.then(
      (redis) => redis.disconnect(),
      () => undefined,
    );
  }
}
