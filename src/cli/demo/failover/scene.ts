import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../../../client/cache.ts';
import type { BusConfig, RegionConfig } from '../../../config/bus-config.ts';
import { connect } from '../../../drivers/postgres/connection.ts';
import type { DemoFrame } from '../frame.ts';
import { regionOf } from '../../commands/context.ts';
import { CUSTOMERS, type Customer, RENAME } from './customers.ts';
import { DatabaseProbe } from './database-probe.ts';
import { Users } from './traffic.ts';

export const VICTIM = 'eu';
export const NEIGHBOUR = 'us';

/** Opens a cache as an application does. */
export type OpenDemoCache = (
  config: BusConfig,
  region: RegionConfig,
) => Promise<{ readonly cache: Cache; readonly close: () => Promise<void> }>;

/** Processes of the application, and page views a second, in each region. */
const FLEET = { [VICTIM]: { caches: 4, perSecond: 300 }, [NEIGHBOUR]: { caches: 2, perSecond: 150 } };
/** So many times as fast users read at first, while all they ask for is there: what is hot is learned from hours elsewhere, and here from less than a minute. */
const HURRY = 5;
const RENAMES_EVERY_MS = 50;
/** How long the last evictions may take. */
const SETTLE_MS = 15_000;
const AGAIN_MS = 200;
const AT_A_TIME = 200;
/** Loads of one statement: each takes a millisecond or two. */
const FILLED_AT_A_TIME = 50;

/** Two regions in use: users who read, somebody who writes, and somebody who asks the database itself. */
export class FailoverScene {
  readonly users: Users;
  readonly database = new DatabaseProbe();
  /** Processes of the application in the region that is lost. */
  readonly caches: readonly Cache[];
  readonly #databaseUrl: string;
  #renames = 0;

  private constructor(caches: readonly Cache[], users: Users, databaseUrl: string) {
    this.caches = caches;
    this.users = users;
    this.#databaseUrl = databaseUrl;
  }

  /** Opens it, and lets the users come. */
  static async open(config: BusConfig, openCache: OpenDemoCache, frame: DemoFrame): Promise<FailoverScene> {
    const { cleanups, ending } = frame;
    const open = (region: typeof VICTIM | typeof NEIGHBOUR): Promise<Cache[]> =>
      Promise.all(
        Array.from({ length: FLEET[region].caches }, async () => {
          const { cache, close } = await openCache(config, regionOf(config, region));
          cleanups.push(close);
          return cache;
        }),
      );
    const neighbourCaches = await open(NEIGHBOUR);
    const neighbours = new Users(neighbourCaches, FLEET[NEIGHBOUR].perSecond);
    const caches = await open(VICTIM);
    frame.say(`Filling ${CUSTOMERS} pages in each region.`);
    for (const [cache] of [neighbourCaches, caches]) await fill(cache, ending.signal);
    const [replicaUrl] = regionOf(config, VICTIM).replicas;
    const scene = new FailoverScene(
      caches,
      new Users(caches, FLEET[VICTIM].perSecond * HURRY, neighbours),
      config.source.url,
    );
    const over = new AbortController();
    const running = [
      neighbours.run(over.signal),
      scene.users.run(over.signal),
      scene.database.run(replicaUrl ?? config.source.url, over.signal),
    ];
    ending.watch(running.map(async (one) => one.then(() => new Promise<never>(() => undefined))));
    cleanups.push(async () => {
      over.abort();
      await Promise.allSettled(running);
    });
    return scene;
  }

  /** Users take their time from now on. */
  calm(): void {
    this.users.perSecond = FLEET[VICTIM].perSecond;
  }

  /** Renames customers, twenty a second, until the signal. */
  async write(signal: AbortSignal): Promise<void> {
    const sql = await connect(this.#databaseUrl, { applicationName: 'shop' });
    try {
      for (; !signal.aborted; this.#renames += 1) {
        await sql.query(RENAME, [1 + ((this.#renames * 7919) % CUSTOMERS), `Name ${this.#renames}`]);
        await sleep(RENAMES_EVERY_MS, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      await sql.close();
    }
  }

  /** Pages that the region's cache holds otherwise than the database has them, when nothing is changed any more. */
  async stale(): Promise<number> {
    const sql = await connect(this.#databaseUrl, { applicationName: 'afterwrite-demo' });
    try {
      const rows = await sql.query<{ id: number; name: string }>('select id, name from public.customers');
      const untilMs = performance.now() + SETTLE_MS;
      for (;;) {
        // On a machine that is short of time a command may fail; then it is asked again.
        const stale = await this.#differing(rows).catch((error: unknown) => error);
        if (stale === 0 || performance.now() > untilMs) {
          if (typeof stale === 'number') return stale;
          throw stale;
        }
        await sleep(AGAIN_MS);
      }
    } finally {
      await sql.close();
    }
  }

  async #differing(rows: readonly { readonly id: number; readonly name: string }[]): Promise<number> {
    const [cache] = this.caches;
    if (cache === undefined) return 0;
    const family = cache.family<Customer, { id: number }>('customer');
    let differing = 0;
    for (let first = 0; first < rows.length; first += AT_A_TIME) {
      const some = rows.slice(first, first + AT_A_TIME);
      const held = await Promise.all(some.map(({ id }) => family.peek({ id })));
      differing += held.filter((one, i) => one !== undefined && one?.name !== some[i]?.name).length;
    }
    return differing;
  }
}

/** Asks for every page once, so that users find them. */
async function fill(cache: Cache | undefined, signal: AbortSignal): Promise<void> {
  const family = cache?.family<Customer, { id: number }>('customer');
  for (let first = 1; first <= CUSTOMERS; first += FILLED_AT_A_TIME) {
    signal.throwIfAborted();
    await family?.getMany(Array.from({ length: FILLED_AT_A_TIME }, (_, i) => ({ id: first + i })));
  }
}
