import type { TierNews } from '../../client/tier.ts';
import type { Keyspace } from '../../protocol/keyspace.ts';

const SLOT = ':slot:';
/** No value's key begins so. */
const OURS = 'afterwrite:';

/** What the change of a Redis key means for who holds values: a value, what stands beside a plain one, a cell's state, or nothing. */
export class InvalidatedKeys {
  readonly #keyspace: Keyspace;
  readonly #cellOfState = new Map<string, number>();
  readonly #slotPrefixes = new Set<string>();

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
    for (let cell = 0; cell < keyspace.cells; cell++) {
      this.#cellOfState.set(keyspace.state(cell), cell);
      this.#slotPrefixes.add(keyspace.slotKey('', cell));
    }
  }

  tell(redisKey: string, news: TierNews): void {
    const cell = this.#cellOfState.get(redisKey);
    if (cell !== undefined) return news.state(cell);
    const slotAt = redisKey.indexOf(SLOT) + SLOT.length;
    if (this.#slotPrefixes.has(redisKey.slice(0, slotAt))) return news.key(redisKey.slice(slotAt));
    const key = redisKey.startsWith(OURS) ? undefined : this.#keyspace.cacheKey(redisKey);
    if (key !== undefined) news.key(key);
  }
}
