import type { Redis } from 'ioredis';
import type pg from 'pg';
import type { Cache, CacheOptions } from '../src/index.ts';

/** What an example is given. The default export of `examples/<strategy>/example.ts` takes it; it throws where what it shows is not so. */
export interface Example {
  /** The bus's file and the families' files, as `createCache({ config })` takes them. */
  readonly config: readonly string[];
  /** The region's cache, new: nothing has been counted yet. */
  readonly cache: Cache;
  /** The application's own pool of the primary. */
  readonly pool: pg.Pool;
  /** The application's own client of the region's Redis. */
  readonly redis: Redis;
  /** Another cache on the region, as another process of the application has one; closed after the example. */
  open(options?: Partial<CacheOptions>): Promise<Cache>;
  /** Starts `afterwrite …` as a process of its own, and waits until it is ready; ended after the example. */
  start(program: 'relay' | 'agent' | 'worker' | 'flush', ...args: readonly string[]): Promise<void>;
  /** Runs a command of `afterwrite` to its end, and gives what it printed. */
  run(...args: readonly string[]): Promise<string>;
  /** Waits until the region has applied all that was committed until now. */
  settled(): Promise<void>;
  /** Kills the region's Redis by its pid, as a crash does. */
  killRedis(): Promise<void>;
  /** Starts the region's Redis again in its old place: empty, and the region begins anew. */
  restartRedis(): Promise<void>;
  /** Waits for a state: asks until the answer is something other than undefined, null or false. */
  until<T>(what: string, probe: () => T | Promise<T>): Promise<Exclude<T, undefined | null | false>>;
}
