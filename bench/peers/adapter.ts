/**
 * One caching library, as the scenarios see it. Everything here runs in a process of its own (worker.ts), so that a client which hangs,
 * or an error nobody catches, costs one measurement and not the run.
 */

/** As the library's documentation begins, or with everything its documentation offers for the cases measured here. */
export type Settings = 'default' | 'best';

/**
 * - `usual`: memory and Redis as the library combines them.
 * - `local`: a hit must be answered from memory; Redis behind it where the library can have both.
 * - `redis`: no memory tier, so that every hit is a hit of Redis.
 */
export type Tiers = 'usual' | 'local' | 'redis';

/** The cached value: a small row, about 100 bytes of JSON. */
export interface Row {
  readonly id: string;
  readonly version: number;
  readonly name: string;
}

export type Load = () => Promise<Row>;

export interface OpenOptions {
  readonly redisUrl: string;
  readonly settings: Settings;
  readonly tiers: Tiers;
  /** What `startBeside` returned, where the adapter has it. */
  readonly beside: unknown;
}

export interface PeerCache {
  /** The value, loaded and stored where it is absent. Undefined only where the library swallows the loader's error. */
  get(key: string, load: Load, tags?: readonly string[]): Row | undefined | Promise<Row | undefined>;
  /** Done once the library's own call returns: the moment from which an application believes that the old value is gone. */
  invalidateKey(key: string): Promise<void>;
  /** Absent exactly where `cannot` names tags. */
  invalidateTag?(tag: string): Promise<void>;
  /**
   * Where the rows stand in a database that the library watches: changes the key's row by a way that it does not watch. The rows of the others
   * change with the loader that a scenario passes.
   */
  changeUntold?(key: string): Promise<void>;
  close(): Promise<void>;
}

/** What a library cannot be asked, and why: reported in place of a figure, never guessed. */
export type Ability = 'tags' | 'memory' | 'memoryBesideRedis' | 'evictionOfItsOwn';

export interface Peer {
  readonly name: string;
  /** The packages whose versions the figures belong to. */
  readonly packages: readonly string[];
  /** In words for the table. */
  readonly settings: Readonly<Record<Settings, string>>;
  cannot(ability: Ability, settings: Settings): string | undefined;
  open(options: OpenOptions): Promise<PeerCache>;
  /**
   * Starts what the library needs besides Redis, once for a Redis server, in the process of the run. The context is handed to every
   * `open` and therefore has to be JSON.
   */
  startBeside?(redisUrl: string, settings: Settings): Promise<{ readonly context: unknown; stop(): Promise<void> }>;
}

/** Longer than any scenario: no figure here is made by an expiry. */
export const TTL_MS = 300_000;

/**
 * How long a command may wait for Redis in the best settings. No library here has a deadline of its own for Redis; the clients do, and the
 * libraries take a client or its options.
 */
export const COMMAND_TIMEOUT_MS = 100;
