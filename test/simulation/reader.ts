import type { FlightKind, SeenLease } from '../../src/client/flight.ts';
import type { LeaseReply, ReadReply } from '../../src/client/cache-store.ts';
import { isSettledOnPrimary, type LeaseReading } from '../../src/protocol/fill.ts';
import { type HitVerdict, judgeHit } from '../../src/protocol/hit.ts';
import { isReached, type ReadToken } from '../../src/protocol/read-token.ts';
import type { StoredValue } from '../../src/protocol/value-slot.ts';
import type { SimKey } from './catalog.ts';
import { fill, SimFlight } from './flight.ts';
import { Load, type LoadKind } from './load.ts';
import type { Version } from './postgres.ts';
import type { ClientProcess } from './client-process.ts';

const LEASE_MS = 10_000;
/** A get's own steps lie tens of milliseconds apart here, so that it waits longer than a real one. */
const SETTLE_WAIT_MS = 150;
const TOKEN_WAIT_MS = 300;
const HELD_WAITS_MAX = 3;
/** Steps of one get: beyond, it would go on for ever. */
const ACTS_MAX = 120;

type State = 'look' | 'read' | 'reply' | 'wait' | 'lease' | 'leased' | 'load' | 'store' | 'stored' | 'joined' | 'over';

export interface Wish {
  readonly key: SimKey;
  readonly kind: LoadKind;
  readonly token?: ReadToken;
  /** What the token stands for. */
  readonly versions?: readonly Version[];
  readonly maxStaleMs?: number;
}

/** One `get`: a state machine, a message or an atomic act a step. */
export class Get {
  readonly wish: Wish;
  readonly #process: ClientProcess;
  #state: State = 'look';
  #connection = 0;
  #sentAt = 0;
  #evictedAt = 0;
  #acts = 0;
  #waits = 0;
  #waitUntilMs = 0;
  #settleUntilMs = 0;
  #tokenUntilMs = 0;
  #verdict: HitVerdict = { kind: 'miss', why: 'absent' };
  #isTooOld = false;
  #flight: SimFlight | undefined;
  #joinedFlight: SimFlight | undefined;
  #leaseReply: LeaseReply | undefined;
  #fenceBefore: LeaseReading | undefined;
  #earlierReply: ReadReply | undefined;
  #markedAt = -1;
  #hasPeeked = false;
  #isReadAgain = false;
  /** The read is a look at the end of another's lease. */
  #isReadingForFlight = false;
  /** It has answered, and loads behind. */
  #isBehind = false;
  /** The id of the value that it refreshes before its time is over. */
  #early: string | undefined;

  constructor(process: ClientProcess, wish: Wish) {
    this.#process = process;
    this.wish = wish;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  act(): boolean {
    const { world } = this.#process;
    if (world.nowMs < this.#waitUntilMs) return false;
    this.#acts += 1;
    if (this.#acts > ACTS_MAX) world.fail('I8', `a get of ${this.wish.key.key} does not end`);
    switch (this.#state) {
      case 'look':
        return this.#look();
      case 'read':
        return this.#read();
      case 'reply':
        return this.#reply();
      case 'wait':
        return this.#waitEnd();
      case 'lease':
        return this.#lease();
      case 'leased':
        return this.#leased();
      case 'load':
        return this.#load();
      case 'store':
        return this.#store();
      case 'stored':
        return this.#end();
      case 'joined':
        return this.#joined();
      case 'over':
        return false;
    }
  }

  #look(): boolean {
    const { tier } = this.#process;
    const { token, maxStaleMs, key } = this.wish;
    if (tier !== undefined && token === undefined && maxStaleMs === undefined && tier.get(key) !== undefined)
      return this.#end();
    return this.#readNext();
  }

  #readNext(): boolean {
    this.#state = 'read';
    this.#sentAt = this.#process.world.step;
    return true;
  }

  #read(): boolean {
    const { world, region, tier } = this.#process;
    const { key, token, maxStaleMs } = this.wish;
    if (!this.#isReadingForFlight && !this.#process.isConnected()) return this.#loadBare();
    this.#connection = this.#process.connection;
    const isMeasured = token !== undefined || maxStaleMs !== undefined;
    const isSplit = world.plant === 'watermark after value' && isMeasured;
    let reply = region.redis.read(key, { ttl: key.staleMs > 0, watermark: isMeasured }, tier?.tracker);
    if (isSplit && this.#earlierReply === undefined) {
      this.#earlierReply = reply;
      return true;
    }
    if (isSplit && this.#earlierReply !== undefined) reply = { ...this.#earlierReply, watermark: reply.watermark };
    this.#earlierReply = undefined;
    if (!this.#isReadingForFlight) this.#evictedAt = region.evicted[key.index] as number;
    this.#markedAt = reply.familyMark?.offset ?? -1;
    this.#verdict = judgeHit(reply, key.staleMs);
    const verdict = this.#verdict;
    this.#isTooOld = false;
    if (verdict.kind === 'hit' || verdict.kind === 'stale') {
      if (isMeasured) this.#isTooOld = verdict.kind === 'stale' || !this.#isFresh(reply);
      if (!this.#isTooOld && !isSplit) this.#checkServed(verdict.value.payload);
      if (!this.#isTooOld && isMeasured) this.#checkDemand(verdict.value.payload);
    } else if (verdict.kind === 'miss') {
      if (verdict.why === 'epoch') world.seen.missByEpoch += 1;
      else if (verdict.why === 'mark') world.seen.missByMark += 1;
    }
    this.#state = 'reply';
    return true;
  }

  #isFresh({ watermark }: ReadReply): boolean {
    const { world } = this.#process;
    const { token, maxStaleMs } = this.wish;
    if (watermark === null) return false;
    if (maxStaleMs !== undefined && world.nowMs - watermark.asOfMs > maxStaleMs) {
      world.seen.tooStaleForReader += 1;
      return false;
    }
    if (token === undefined || isReached(token, watermark)) {
      if (token !== undefined) world.seen.tokenReached += 1;
      return true;
    }
    if (token.timeline !== watermark.timeline) world.seen.tokenOfAnotherTimeline += 1;
    return false;
  }

  #checkServed(payload: string): void {
    const { world, region } = this.#process;
    const fault = region.fault(this.wish.key, payload);
    if (fault !== undefined) world.fail(fault.slice(0, 2), `${region.name} serves what is old: ${fault}`);
  }

  /** What the caller asked for beyond freshness: its own write, or a bound of staleness. */
  #checkDemand(payload: string): void {
    const { world, postgres } = this.#process;
    const { key, versions, maxStaleMs } = this.wish;
    const ids = payload.split(',');
    key.rows.forEach((row, place) => {
      const id = Number(ids[place]);
      const own = versions?.find((version) => version.row === row);
      if (own !== undefined && own.diedOn > postgres.branch.id && id < own.id)
        world.fail('I3', `a token's reader gets ${key.key} with r${row}=${id}, and wrote ${own.id}`);
      if (maxStaleMs === undefined) return;
      let version: Version | null = postgres.committed[row] as Version;
      while (version !== null && (version.commit?.readableAtMs ?? 0) > world.nowMs - maxStaleMs)
        version = version.before;
      if (version !== null && id < version.id)
        world.fail(
          'I3',
          `a reader of at most ${maxStaleMs} ms gets ${key.key} with r${row}=${id}, and ${version.id} is older than that`,
        );
    });
  }

  #reply(): boolean {
    const { world, tier } = this.#process;
    const { key, token } = this.wish;
    if (this.#connection !== this.#process.connection)
      return this.#isReadingForFlight ? this.#withoutLease() : this.#loadBare();
    const verdict = this.#verdict;
    switch (verdict.kind) {
      case 'hit':
        if (this.#isReadingForFlight && this.#isTooOld) return this.#readOn();
        if (this.#isTooOld) return token === undefined ? this.#loadBare() : this.#waitForToken();
        tier?.offer(key, verdict.value.payload, this.#sentAt);
        return this.#refresh(verdict.value);
      case 'stale':
        if (this.#isReadingForFlight) return this.#readOn();
        if (this.#isTooOld) return this.#enter(undefined, 'lease');
        world.seen.staleServed += 1;
        if (verdict.isLeased || this.#process.flights.last(key.key) !== undefined) return this.#end();
        this.#isBehind = true;
        return this.#leaseNext();
      case 'held':
        if (!this.#isReadingForFlight) return this.#held(verdict.token);
        this.#isReadingForFlight = false;
        this.#flight?.shared.unseal();
        return this.#wait();
      case 'miss':
        return this.#isReadingForFlight ? this.#readOn() : this.#enter(undefined, 'lease');
    }
  }

  /** Has answered by a value whose time lasts, and now and then draws to refresh it all the same. */
  #refresh(value: StoredValue): boolean {
    const { world, flights } = this.#process;
    const isOthers = value.lease !== undefined || flights.last(this.wish.key.key) !== undefined;
    if (this.#flight !== undefined || isOthers || !world.random.oneIn(6)) return this.#end();
    world.seen.refreshedEarly += 1;
    this.#early = value.id;
    this.#isBehind = true;
    return this.#leaseNext();
  }

  /** The wait is over, and has brought no value. */
  #readOn(): boolean {
    this.#isReadingForFlight = false;
    this.#flight?.shared.unseal();
    return this.#leaseNext();
  }

  #waitForToken(): boolean {
    const { world } = this.#process;
    if (this.#tokenUntilMs === 0) this.#tokenUntilMs = world.nowMs + TOKEN_WAIT_MS;
    if (world.nowMs >= this.#tokenUntilMs) return this.#loadBare();
    world.seen.tokenWaited += 1;
    return this.#readNext();
  }

  /** Somebody holds the lease: one of this process, whose load may be joined, or another, who is waited for. */
  #held(token: string): boolean {
    const markedAt = this.wish.key.by === 'tag' ? Number.POSITIVE_INFINITY : this.#markedAt;
    return this.#enter({ token, markedAt }, 'wait');
  }

  /** Joins a flight, if the client's own rule lets it, or starts one. */
  #enter(seen: SeenLease | undefined, start: 'wait' | 'lease' | 'load'): boolean {
    const { world, flights, sims } = this.#process;
    const { key, token } = this.wish;
    const last = flights.last(key.key);
    let shared = flights.find(key.key, seen, token, 'answer');
    if (shared === undefined && last !== undefined) {
      world.seen.joinRefusedDeadFlight += 1;
      if (world.plant === 'dead flight joined') shared = last;
    }
    if (shared !== undefined) {
      world.seen.joined += 1;
      this.#joinedFlight = sims.get(shared);
      this.#state = 'joined';
      return true;
    }
    this.#flight = this.#start('answer');
    if (start === 'wait') return this.#wait();
    if (start === 'load') return this.#withoutLease();
    return this.#leaseNext();
  }

  #start(kind: FlightKind): SimFlight {
    const { flights, sims } = this.#process;
    const shared = flights.start(this.wish.key.key, this.wish.token, kind);
    const flight = new SimFlight(this.wish.key, shared);
    sims.set(shared, flight);
    return flight;
  }

  /** Waits for the end of another's lease; looks by itself, now and then. */
  #wait(): boolean {
    const { world } = this.#process;
    world.seen.heldByAnotherProcess += 1;
    this.#waits += 1;
    if (this.#waits > HELD_WAITS_MAX)
      return this.#waits > 2 * HELD_WAITS_MAX ? this.#withoutLease() : this.#leaseNext();
    this.#waitUntilMs = world.nowMs + 60;
    this.#state = 'wait';
    return true;
  }

  #waitEnd(): boolean {
    const flight = this.#flight as SimFlight;
    if (!this.#process.isConnected()) return this.#withoutLease();
    flight.shared.seal();
    this.#isReadingForFlight = true;
    this.#read();
    return true;
  }

  #joined(): boolean {
    const { world } = this.#process;
    const flight = this.#joinedFlight as SimFlight;
    if (!flight.isOver) {
      this.#acts -= 1;
      return false;
    }
    const { load } = flight;
    if (load === undefined || load.hasFailed) return this.#end();
    if (load.beganAt < this.#evictedAt)
      world.fail(
        'I3',
        `a get of ${this.wish.key.key} begins after its eviction at step ${this.#evictedAt} and gets a load of step ${load.beganAt}`,
      );
    if (load.kind !== 'unknown') this.#checkOwn(load);
    return this.#end();
  }

  #leaseNext(): boolean {
    this.#flight ??= this.#start(this.#isBehind ? 'behind' : 'answer');
    this.#flight.shared.token = this.#process.world.name('l');
    this.#flight.reading = undefined;
    this.#state = 'lease';
    return true;
  }

  #lease(): boolean {
    const { world, region } = this.#process;
    const { key } = this.wish;
    const flight = this.#flight as SimFlight;
    const request = {
      token: flight.token as string,
      leaseMs: LEASE_MS,
      rule: key.rule,
      staleMs: key.staleMs,
      waits: world.random.oneIn(2),
      ...(this.#early === undefined ? {} : { early: this.#early }),
    };
    if (world.plant === 'fence before lease' && !this.#hasPeeked) {
      this.#hasPeeked = true;
      this.#fenceBefore = this.#process.readFence(key, request);
      return true;
    }
    if (!this.#process.isConnected()) {
      if (this.#process.isLate()) {
        world.seen.leaseLandedLate += 1;
        region.late.push(() => void region.redis.lease(key, request));
      }
      return this.#withoutLease();
    }
    this.#connection = this.#process.connection;
    const slot = world.random.oneIn(8) ? region.redis.get(key.key) : null;
    this.#leaseReply = region.redis.lease(key, request);
    if (slot !== null && this.#leaseReply.kind === 'leased' && slot.startsWith('aw1 v'))
      world.seen.deadEpochLeasedOver += 1;
    flight.leasedAt = world.step;
    this.#state = 'leased';
    return true;
  }

  #leased(): boolean {
    const { world } = this.#process;
    const flight = this.#flight as SimFlight;
    if (this.#connection !== this.#process.connection) return this.#withoutLease();
    const reply = this.#leaseReply as LeaseReply;
    switch (reply.kind) {
      case 'held':
        return flight.reading !== undefined || this.#isBehind ? this.#withoutLease() : this.#wait();
      case 'live':
        if (flight.reading !== undefined || this.#isBehind) return this.#withoutLease();
        this.#waits += 1;
        if (this.#waits > 2 * HELD_WAITS_MAX) return this.#withoutLease();
        this.#state = 'wait';
        return true;
      case 'lost':
      case 'rules':
        world.seen.leaseLost += 1;
        return this.#withoutLease();
      case 'leased':
    }
    const isFirst = flight.reading === undefined;
    flight.reading = this.#fenceBefore ?? reply.reading;
    if (!isFirst) this.#isReadAgain = true;
    if (isFirst) this.#process.countReading(this.wish.key, flight.reading);
    if (this.wish.kind === 'replica' || this.wish.kind === 'unknown') return this.#loadNext();
    if (isSettledOnPrimary(flight.reading)) {
      if (!isFirst) world.seen.settledWhileWaiting += 1;
      return this.#loadNext();
    }
    if (isFirst) {
      world.seen.unsettledFenceAtLease += 1;
      this.#settleUntilMs = world.nowMs + SETTLE_WAIT_MS;
    }
    if (world.nowMs >= this.#settleUntilMs || this.#fenceBefore !== undefined) return this.#loadNext();
    // A failover to here keeps the lease, and goes back behind the next reading.
    if (world.strikes('redisFailover', 4)) this.#process.region.checkpoint();
    this.#state = 'lease';
    return true;
  }

  /** Not known to hold a lease, it loads for those who wait, and stores nothing. */
  #withoutLease(): boolean {
    if (this.#isBehind) return this.#end();
    const flight = this.#flight as SimFlight;
    flight.shared.token = undefined;
    flight.reading = undefined;
    return this.#loadNext();
  }

  /** Past the cache. */
  #loadBare(): boolean {
    return this.#enter(undefined, 'load');
  }

  #loadNext(): boolean {
    const { world, postgres, region } = this.#process;
    const { key, kind, token } = this.wish;
    const flight = this.#flight as SimFlight;
    const isPast = flight.reading === undefined && (token !== undefined || this.wish.maxStaleMs !== undefined);
    flight.load = new Load(
      world,
      postgres,
      region,
      key,
      isPast && kind !== 'replica' ? 'source' : kind,
      flight.shared.demand,
    );
    flight.shared.offset = flight.reading?.offset;
    flight.shared.begin();
    this.#state = 'load';
    if (world.strikes('readerStall', 40)) this.#waitUntilMs = world.nowMs + 1000 + world.random.below(14_000);
    return true;
  }

  #load(): boolean {
    const { world } = this.#process;
    const { load } = this.#flight as SimFlight;
    load?.act();
    if (load?.isDone !== true) return true;
    if (this.wish.versions !== undefined && !load.hasFailed && load.kind !== 'unknown') this.#checkOwn(load);
    this.#state = 'store';
    if (world.strikes('readerStall', 40)) this.#waitUntilMs = world.nowMs + 1000 + world.random.below(14_000);
    return true;
  }

  #checkOwn(load: Load): void {
    const { world, postgres } = this.#process;
    if (
      load.evidence.kind === 'primary' &&
      load.evidence.timeline !== undefined &&
      load.evidence.timeline !== postgres.branch.timeline
    )
      return;
    for (const { row, id } of load.versions) {
      const own = this.wish.versions?.find((version) => version.row === row);
      if (own !== undefined && own.diedOn > postgres.branch.id && id < own.id)
        world.fail(
          'I3',
          `a token's reader loads ${this.wish.key.key} with r${row}=${id} from a ${load.kind}, and wrote ${own.id}`,
        );
    }
  }

  #store(): boolean {
    const { world, region } = this.#process;
    const flight = this.#flight as SimFlight;
    if (this.#isReadAgain && world.strikes('redisFailover', 6)) region.failOver();
    const store = fill(world, region, flight);
    this.#state = 'stored';
    if (flight.token === undefined) return true;
    const { token } = flight;
    if (!this.#process.isConnected()) {
      if (store !== undefined && this.#process.isLate()) {
        world.seen.storeLandedLate += 1;
        region.late.push(() => void store());
      }
      return true;
    }
    if (store === undefined) region.redis.giveUp(this.wish.key, token);
    else {
      store();
      if (world.strikes('clientConnection', 60)) {
        world.seen.storeLandedUnknown += 1;
        this.#process.loseConnection();
      }
    }
    return true;
  }

  #end(): boolean {
    const { flights, sims } = this.#process;
    const flight = this.#flight;
    this.#flight = undefined;
    this.#state = 'over';
    if (flight === undefined) return true;
    flight.isOver = true;
    flights.remove(flight.shared);
    sims.delete(flight.shared);
    return true;
  }
}
