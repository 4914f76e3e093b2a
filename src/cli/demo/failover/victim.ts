import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from '../../../drivers/redis/connection.ts';
import { RedisGateStore } from '../../../drivers/redis/region-gate.ts';
import type { StoredGate } from '../../../protocol/region-gate.ts';
import { type RedisServer, startRedis } from '../../../stack/redis.ts';

const LOOK_MS = 10;

/** The Redis of the region that is lost. */
export class Victim {
  readonly #gateKey: string;
  #server: RedisServer;

  constructor(server: RedisServer, gateKey: string) {
    this.#server = server;
    this.#gateKey = gateKey;
  }

  /** Killed, as a machine that is lost. */
  async kill(): Promise<void> {
    await (this.#server.process?.stop('SIGKILL') ?? this.#server.stop());
  }

  /** Empty, in its old place. */
  async restart(): Promise<void> {
    await this.#server.stop();
    this.#server = await startRedis({ port: this.#server.port });
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  /** Until the gate that stands there is as wanted. */
  async until(isSo: (gate: StoredGate) => boolean, signal: AbortSignal): Promise<StoredGate> {
    const redis = await connectRedis(this.#server.url, { name: 'afterwrite-demo-gate' });
    const gates = new RedisGateStore(redis, this.#gateKey);
    try {
      for (;;) {
        signal.throwIfAborted();
        const gate = await gates.read();
        if (gate !== null && isSo(gate)) return gate;
        await sleep(LOOK_MS);
      }
    } finally {
      redis.disconnect();
    }
  }
}
