import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from './eventually.ts';

export interface ReadRecords {
  hgetall(key: string): Promise<Record<string, string>>;
  exists(key: string): Promise<number>;
}

/**
 * Waits until every cell is in an epoch, knows the rules of the families, and owes no sweep: the one that a new epoch owes takes young values along with
 * old ones.
 */
export async function untilBegun(redis: ReadRecords, keyspace: Keyspace, families: readonly string[]): Promise<void> {
  for (let cell = 0; cell < keyspace.cells; cell++)
    await eventually(
      `cell ${cell} has begun`,
      async () => {
        const state = await redis.hgetall(keyspace.state(cell));
        const knows = families.every((name) => state[`r:${name}`] !== undefined);
        return knows && state['epoch'] !== undefined && (await redis.exists(keyspace.sweeps(cell))) === 0;
      },
      60_000,
    );
}
