import type { LeaseRequest } from '../../src/client/cache-store.ts';
import type { Flight } from '../../src/client/flight.ts';
import { Flights } from '../../src/client/flights.ts';
import type { LeaseReading } from '../../src/protocol/fill.ts';
import { KEYS, type SimKey } from './catalog.ts';
import type { SimFlight } from './flight.ts';
import type { LoadKind } from './load.ts';
import { LocalTier } from './local-tier.ts';
import type { Postgres } from './postgres.ts';
import { Get, type Wish } from './reader.ts';
import type { SimRegion } from './region.ts';
import type { World } from './world.ts';

const GETS_MAX = 4;
const LATE_MAX = 6;
const KINDS: readonly LoadKind[] = ['source', 'source', 'declared', 'replica', 'replica', 'unknown'];

/** A process of the application, in one region: its gets, the loads they share, its connection, and perhaps a tier of its own. */
export class ClientProcess {
  readonly world: World;
  readonly postgres: Postgres;
  readonly region: SimRegion;
  readonly tier: LocalTier | undefined;
  readonly flights = new Flights();
  readonly sims = new Map<Flight, SimFlight>();
  /** Another number is another connection. */
  connection = 1;
  #lives: number;
  /** How slowly what is told on the tracking connection arrives. */
  readonly #tierOneIn: number;
  #gets: Get[] = [];

  constructor(world: World, postgres: Postgres, region: SimRegion, hasTier: boolean) {
    this.world = world;
    this.postgres = postgres;
    this.region = region;
    this.#lives = region.lives;
    this.#tierOneIn = 2 + world.random.below(12);
    this.tier = hasTier ? new LocalTier(world, region) : undefined;
  }

  get isIdle(): boolean {
    return this.#gets.length === 0;
  }

  act(): boolean {
    const { random, isQuiet } = this.world;
    if (this.tier !== undefined && random.oneIn(this.#tierOneIn)) return this.tier.act();
    const chosen = this.#gets[random.below(GETS_MAX)];
    if (chosen === undefined) {
      if (isQuiet) return false;
      const begun = new Get(this, this.#wish());
      this.#gets.push(begun);
      return begun.act();
    }
    const hasActed = chosen.act();
    if (chosen.isOver) this.#gets = this.#gets.filter((other) => other !== chosen);
    return hasActed;
  }

  /** Whether what is sent now arrives. If not, there is a new connection from here on. */
  isConnected(): boolean {
    // Behind an address that stays the same a failover is noticed a little later.
    const isNoticed = this.#lives !== this.region.lives && (this.world.isQuiet || !this.world.random.oneIn(3));
    if (!isNoticed && !this.world.strikes('clientConnection', 250)) return true;
    this.loseConnection();
    return false;
  }

  /** Whether what did not arrive in time may still arrive. */
  isLate(): boolean {
    return this.world.faults.has('lateCommand') && this.region.late.length < LATE_MAX;
  }

  loseConnection(): void {
    this.connection += 1;
    this.#lives = this.region.lives;
    this.tier?.readingConnectionLost();
  }

  /** For a planted fault: the fence without the lease. */
  readFence(key: SimKey, request: LeaseRequest): LeaseReading | undefined {
    const { redis } = this.region;
    const before = redis.get(key.key);
    const reply = redis.lease(key, request);
    if (reply.kind !== 'leased') return undefined;
    if (before === null) redis.drop(key.key);
    else redis.set(key.key, before, 5000);
    return reply.reading;
  }

  countReading(key: SimKey, { floor, fenced, settledPrimary }: LeaseReading): void {
    const { seen } = this.world;
    const fold = this.region.redis.cell(key.cell).buckets.get(key.bucket)?.fold ?? 0n;
    if (fold > 0n) seen.bucketFolded += 1;
    if (fold > 0n && fenced === fold) seen.foldFenced += 1;
    if (floor > fenced && floor >= settledPrimary.lsn) seen.floorFenced += 1;
  }

  #wish(): Wish {
    const { world, postgres } = this;
    const { random } = world;
    // A few keys are asked for more than the others, so that gets meet.
    const key = KEYS[random.oneIn(2) ? random.below(4) * 5 : random.below(KEYS.length)] as SimKey;
    const kind = random.pick(KINDS);
    if (random.oneIn(8)) return { key, kind, maxStaleMs: 200 + random.below(1000) };
    const written = random.oneIn(5) ? postgres.tokens.at(-1 - random.below(2)) : undefined;
    if (written === undefined) return { key, kind };
    const { token, versions } = written;
    const row = random.pick(versions).row;
    const own = KEYS.filter(({ rows }) => rows.includes(row));
    return { key: own.length === 0 || random.oneIn(2) ? key : random.pick(own), kind, token, versions };
  }
}
