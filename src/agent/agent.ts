import type { BusConfig } from '../config/bus-config.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import type { Lsn } from '../protocol/lsn.ts';
import { answerWithin } from '../runtime/answer-within.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { AgentPorts } from './agent-ports.ts';
import { BOUNDS_TIMEOUT_MS, type LogBounds, type LogReader } from './from-log.ts';
import { Distrust } from './distrust.ts';
import { Holdings } from './holdings.ts';
import { hotKeysLoop } from './hot-keys.ts';
import { Ownership } from './ownership.ts';
import { GateWatch } from './gate-watch.ts';
import { isUnrelated, judgeServers, type Servers } from './redis-life.ts';
import type { RedisIdentity, RegionStore } from './region-store.ts';
import { watchReplicas } from './replica-watch.ts';
import { LOADS_NOTHING, refreshLoop } from './refresh.ts';
import { sweepLoop } from './sweep.ts';

const REPORT_EVERY_MS = 1000;
/** Small, since whether a region is cold is to be known soon after its Redis is back. */
const BACKOFF = { firstMs: 100, maxMs: 500 };

/**
 * Stage 2: from the log into one region's Redis. Any number of agents share the cells of a region; each cell is applied by the one that
 * owns it. While Redis is away everything in memory is forgotten: what is true stands in Redis, and is read from there on return.
 */
export class Agent {
  readonly name = 'agent';
  readonly #ports: AgentPorts;
  readonly #config: BusConfig;
  readonly #token: string;
  readonly #drain = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #barred = new Set<number>();
  readonly #unfit = new Map<number, string>();
  readonly #distrust = new Distrust();
  #holdings: Holdings | undefined;
  #identities: readonly RedisIdentity[] | undefined;
  /** Those that were seen by the last spell that came so far as to tell of them: one that broke off at once is not to swallow a change. */
  #told: readonly RedisIdentity[] | undefined;
  /** The gate's, as it was seen last on any server. */
  #gateEpoch: string | undefined;
  #settledReplica: Lsn | null = null;
  #sweepsOwed = 0;
  /** As the log told last: what the lag is counted by. */
  #bounds: readonly LogBounds[] = [];

  constructor(ports: AgentPorts, config: BusConfig) {
    this.#ports = ports;
    this.#config = config;
    this.#token = ports.token();
  }

  async run(stop: AbortSignal): Promise<void> {
    const until = AbortSignal.any([stop, this.#drain.signal]);
    let reader: LogReader | undefined;
    try {
      reader = await this.#ports.openLog((partition, records) => this.#holdings?.cell(partition)?.deliver(records));
      reader.ended.catch(() => undefined);
      await this.#lives(reader, until);
    } catch (error) {
      // Asked to end before the log could be opened: there is nothing to finish.
      if (!until.aborted || reader !== undefined) throw error;
    } finally {
      await reader?.close();
      this.#ended.resolve();
    }
  }

  /** Finishes what is under way, gives every cell back, and ends `run`. */
  async drain(): Promise<void> {
    this.#drain.abort();
    await this.#ended.promise;
  }

  /** Spell after spell of connection to the region's Redis. */
  async #lives(reader: LogReader, until: AbortSignal): Promise<void> {
    const { clock, random, observer } = this.#ports;
    let failures = 0;
    let toldAtMs = clock.monotonicMs();
    // While it lasts, not once it is over: an alert is for whoever can still do something.
    const tellAway = (): void => {
      const nowMs = clock.monotonicMs();
      observer.redisAway((nowMs - toldAtMs) / 1000);
      toldAtMs = nowMs;
    };
    let isConnected = false;
    const connected = (): void => {
      observer.connected();
      tellAway();
      isConnected = true;
      failures = 0;
    };
    while (!until.aborted) {
      try {
        await this.#life(reader, until, connected);
      } catch (error) {
        if (until.aborted) return;
        if (!isBusError(error) || (error.retry !== 'retry' && error.retry !== 'reset')) throw error;
        if (failures === 0) observer.away(error);
        if (isConnected) toldAtMs = clock.monotonicMs();
        isConnected = false;
        tellAway();
        failures += 1;
        await clock.sleep(backoffMs(failures, BACKOFF, random), until);
      }
    }
  }

  async #life(reader: LogReader, until: AbortSignal, onConnected: () => void): Promise<void> {
    const { connectStore, clock, random, replicas, refresher = LOADS_NOTHING, observer, hotKeys } = this.#ports;
    const store = await connectStore();
    const over = new AbortController();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const token = this.#token;
    const config = this.#config;
    try {
      const servers = await this.#distrustOtherServers(store);
      const facts = { config, cells: reader.partitions, hasReplicas: replicas.length > 0 };
      const holdings = new Holdings({
        ports: this.#ports,
        store,
        reader,
        facts,
        token,
        barred: this.#barred,
        unfit: this.#unfit,
        distrust: this.#distrust,
        fail: failed.reject,
      });
      this.#holdings = holdings;
      const looking = this.#lookLoop(
        { store, holdings, servers, onLooked: onConnected, regionCells: reader.partitions },
        AbortSignal.any([until, over.signal]),
      );
      // They go on for as long as a cell is held: whoever is asked to end takes no more cells, and serves those that it has until they are another's.
      const signal = over.signal;
      const loops = [
        this.#reportLoop(holdings, signal),
        this.#boundsLoop(reader, signal),
        watchReplicas(
          { replicas, clock, store, holdings, token, onSettled: (mark) => (this.#settledReplica = mark.lsn) },
          signal,
        ),
        sweepLoop(
          {
            store,
            clock,
            config,
            cells: reader.partitions,
            token,
            holdings,
            onSwept: (keys) => observer.swept(keys),
            onOwed: (n) => (this.#sweepsOwed = n),
          },
          signal,
        ),
      ];
      // What is owed and loaded elsewhere is the owner's to give up.
      if ([...config.families.values()].some(({ whenChanged }) => whenChanged === 'refresh'))
        loops.push(refreshLoop({ store, refresher, clock, random, observer, holdings }, signal));
      if (hotKeys !== undefined) {
        const isMine = (): boolean => holdings.cell(0)?.position !== undefined;
        loops.push(hotKeysLoop({ ports: hotKeys, source: store.hotReads, clock, random, observer, isMine }, signal));
      }
      const working = Promise.all(loops);
      const broken = Promise.race([working, failed.promise, reader.ended.then(logEnded)]);
      await Promise.race([looking, broken]);
      await Promise.race([holdings.handOver(signal), broken]);
      over.abort();
      await working;
    } finally {
      over.abort();
      await store.close();
      await this.#holdings?.abandonAll();
    }
  }

  /** Distrusts the cells whose server is neither one that was seen last nor the successor of one. */
  async #distrustOtherServers(store: RegionStore): Promise<Servers> {
    const before = this.#identities;
    const now = await store.identities();
    const strangers = now.flatMap((one, cell) => (before !== undefined && isUnrelated(before, one) ? [cell] : []));
    if (strangers.length > 0) {
      const found = await epochsOf(store, strangers);
      this.#distrust.met(new Map(strangers.map((cell) => [cell, found.get(cell)])), this.#gateEpoch);
    }
    this.#identities = now;
    return judgeServers(this.#told, now);
  }

  async #lookLoop(parts: LookParts, signal: AbortSignal): Promise<void> {
    const { store, holdings, servers, regionCells, onLooked } = parts;
    const { observer, token: epochName } = this.#ports;
    const ownership = new Ownership();
    const gate = new GateWatch({ gate: store.gate, observer, epochName, regionCells, servers });
    let isFirst = true;
    while (!signal.aborted) {
      const living = await store.enlist(this.#token);
      const change = await gate.look();
      const standing = await holdings.beat();
      const answers = await store.owners();
      // Only now is it known that this server takes writes, and that its records are ours to read.
      if (isFirst) onLooked();
      isFirst = false;
      if (change !== undefined) observer.redisChanged(change);
      this.#told = this.#identities;
      await gate.note(standing);
      this.#gateEpoch = gate.epoch ?? this.#gateEpoch;
      // What another has begun is no more to be begun by whoever takes it over.
      const elsewhere = this.#distrust.cells.filter((cell) => holdings.cell(cell) === undefined);
      for (const [cell, epoch] of await epochsOf(store, elsewhere)) this.#distrust.isDistrusted(cell, epoch);
      const owners = answers.map((owner, cell) => {
        if (typeof owner !== 'string') {
          holdings.standStill(cell, owner, '');
          return null;
        }
        holdings.noteOwner(cell, owner);
        return owner;
      });
      const decision = ownership.decide({
        owners,
        token: this.#token,
        held: new Set(holdings.numbers),
        barred: this.#barred,
        unfit: this.#unfit,
        living,
        nowMs: this.#ports.clock.monotonicMs(),
      });
      if (decision.release !== undefined) await holdings.giveUp(decision.release);
      for (const { cell, seen } of decision.take) if (!signal.aborted) await holdings.take(cell, seen);
      await this.#ports.clock.sleep(decision.lookAgainMs, signal);
    }
  }

  async #reportLoop(holdings: Holdings, signal: AbortSignal): Promise<void> {
    const { clock, observer } = this.#ports;
    while (!signal.aborted) {
      const applied = holdings.cells.flatMap((cell) =>
        cell.position === undefined ? [] : [{ cell, position: cell.position }],
      );
      const lags = applied.map(({ cell, position }) =>
        Math.max(0, (this.#bounds[cell.cell]?.next ?? 0) - 1 - position.offset),
      );
      // Of cells that wait for their log too: they are behind as much as any.
      const asOfs = holdings.cells.map(({ asOfMs }) => asOfMs).filter((asOfMs) => asOfMs > 0);
      observer.progress({
        owned: holdings.numbers.length,
        stopped: this.#barred.size + this.#unfit.size,
        watermark: applied
          .map(({ position }) => position.watermark)
          .reduce<Lsn | null>((low, one) => (low === null || one < low ? one : low), null),
        stalenessMs: asOfs.length === 0 ? null : Math.max(0, clock.nowMs() - Math.min(...asOfs)),
        lagRecords: lags.reduce((sum, lag) => sum + lag, 0),
        sweepsOwed: this.#sweepsOwed,
        settledReplica: this.#settledReplica,
      });
      await clock.sleep(REPORT_EVERY_MS, signal);
    }
  }

  /** Apart from the reports, which a log that hangs must not hold up. */
  async #boundsLoop(reader: LogReader, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    while (!signal.aborted) {
      const told = await answerWithin(reader.bounds(), BOUNDS_TIMEOUT_MS, clock, signal).catch(() => undefined);
      this.#bounds = told ?? this.#bounds;
      await clock.sleep(REPORT_EVERY_MS, signal);
    }
  }
}

interface LookParts {
  readonly store: RegionStore;
  readonly holdings: Holdings;
  readonly servers: Servers;
  readonly regionCells: number;
  readonly onLooked: () => void;
}

/** Of those cells that can be read, each one's epoch; null where it has none. */
async function epochsOf(store: RegionStore, cells: readonly number[]): Promise<ReadonlyMap<number, string | null>> {
  const epochs = new Map<number, string | null>();
  const read = async (cell: number): Promise<void> => {
    try {
      epochs.set(cell, (await store.read(cell))?.epoch ?? null);
    } catch (error) {
      if (!isBusError(error, 'REDIS_WRONG_TYPE')) throw error;
    }
  };
  await Promise.all(cells.map(read));
  return epochs;
}

function logEnded(): never {
  throw new BusError('LOG_READER_ENDED', 'The reader of the log has ended.');
}
