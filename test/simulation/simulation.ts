import { SimAgent } from './agent.ts';
import { checkConverged } from './converged.ts';
import { ClientProcess } from './client-process.ts';
import { drawFaults, type Fault } from './faults.ts';
import { CELLS, KEYS, RULES } from './catalog.ts';
import { SimLog } from './log.ts';
import type { HarnessPlant } from './plants.ts';
import { Postgres } from './postgres.ts';
import { Random } from './random.ts';
import { SimRegion } from './region.ts';
import { Relay } from './relay.ts';
import { Replica } from './replica.ts';
import { World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly faults?: ReadonlySet<Fault>;
  readonly plant?: HarnessPlant | undefined;
  readonly isTraced?: boolean;
}

/** Between two calm ends, in steps. */
const CALM_EVERY = 10_000;
/** Steps in which everything must come to its end once faults stop. */
const CALM_MAX = 60_000;

/** The whole system, from one seed. */
export class Simulation {
  readonly world: World;
  readonly postgres: Postgres;
  readonly log: SimLog;
  readonly regions: SimRegion[];
  readonly relays: Relay[];
  readonly agents: SimAgent[];
  readonly processes: ClientProcess[];
  readonly #lateSends: (() => void)[] = [];
  readonly #actors: (() => boolean)[] = [];
  readonly #replicas: Replica[];
  readonly #faultOneIn: number;

  constructor({ seed, faults, plant, isTraced }: RunOptions) {
    const draw = new Random(seed ^ 0x5eed);
    // Drawn whether or not they are given: with the faults that it drew, a seed must be the same run once more.
    const drawn = drawFaults(draw);
    const world = new World(seed, faults ?? drawn, plant, isTraced === true);
    this.world = world;
    this.postgres = new Postgres(world);
    this.log = new SimLog(world);
    const counts = draw.oneIn(3) ? [2] : [1 + draw.below(2), 0];
    this.regions = counts.map((replicas, i) => {
      const list = (length: number, lagTurns: number): Replica[] =>
        Array.from({ length }, () => new Replica(world, this.postgres, lagTurns));
      // One that nobody has listed may be far behind those that are.
      const unlisted = list(replicas === 0 ? 1 : draw.below(2), 200);
      return new SimRegion(world, this.postgres, i === 0 ? 'eu' : 'us', list(replicas, 60), unlisted);
    });
    this.#replicas = this.regions.flatMap(({ readable }) => [...readable]);
    const holder = { relay: undefined };
    const parts = { world, postgres: this.postgres, log: this.log, holder, lateSends: this.#lateSends };
    this.relays = [new Relay(parts), new Relay(parts)];
    this.agents = this.regions.flatMap((region) => [0, 1].map(() => new SimAgent({ world, log: this.log, region })));
    this.processes = this.regions.flatMap((region) =>
      [0, 1, 2].map((i) => new ClientProcess(world, this.postgres, region, i < 2)),
    );
    this.#faultOneIn = 30 + draw.below(200);
    const add = (weight: number, act: () => boolean): void => {
      for (let i = 0; i < weight; i++) this.#actors.push(act);
    };
    add(5, () => this.postgres.act());
    for (const replica of this.#replicas) add(3, () => replica.act());
    for (const relay of this.relays) add(6, () => relay.act());
    for (const agent of this.agents) add(3, () => agent.act());
    for (const process of this.processes) add(6, () => process.act());
    add(1, () => this.#late());
  }

  run(steps: number): void {
    const { world } = this;
    while (world.step < steps) {
      if (world.step % CALM_EVERY === CALM_EVERY - 1) this.calm();
      this.#step();
    }
    this.calm();
  }

  /** Faults and writes stop: every region must come to the truth. */
  calm(): void {
    const { world } = this;
    world.isQuiet = true;
    const until = world.step + CALM_MAX;
    while (!this.#isIdle()) {
      if (world.step >= until) world.fail('I7', `nothing comes to its end within ${CALM_MAX} steps: ${this.#busy()}`);
      for (let i = 0; i < 50; i++) this.#step();
    }
    checkConverged(this);
    world.seen.quiescent += 1;
    world.isQuiet = false;
  }

  #step(): void {
    const { world } = this;
    const { random } = world;
    for (let tries = 0; tries < 20; tries++) {
      // Now and then everything stands still for a while.
      world.nowMs += random.oneIn(2000) ? 500 + random.below(4000) : random.below(3);
      if (!world.isQuiet && random.oneIn(this.#faultOneIn) && this.#strike()) break;
      if (random.pick(this.#actors)()) break;
    }
    world.step += 1;
  }

  #late(): boolean {
    const { random } = this.world;
    const region = random.pick(this.regions);
    const command = region.late.shift() ?? this.#lateSends.shift();
    if (command !== undefined) {
      command();
      return true;
    }
    if (this.world.faults.has('redisFailover') && random.oneIn(3)) region.checkpoint();
    region.redis.expire();
    return true;
  }

  #strike(): boolean {
    const { world, postgres, log } = this;
    const { random } = world;
    const fault = random.pick([...world.faults]);
    const region = random.pick(this.regions);
    const agent = this.agents.find((one) => one.isSending && random.oneIn(2)) ?? random.pick(this.agents);
    const process = random.pick(this.processes);
    switch (fault) {
      case 'sourceCrash':
        return random.oneIn(4) && this.#then(() => postgres.crash());
      case 'sourceRestart':
        postgres.shutDown();
        for (const relay of this.relays) relay.endCleanly();
        return this.#then(() => postgres.restart());
      case 'sourceFailover':
        return random.oneIn(4) && this.#then(() => postgres.failOver());
      case 'slotRecreation':
        if (!random.oneIn(6)) return false;
        for (const relay of this.relays) relay.restart();
        return this.#then(() => postgres.recreateSlot());
      case 'replicaRestart':
        return this.#replicas.length > 0 && this.#then(() => random.pick(this.#replicas).restart());
      case 'replicaSilence':
        return this.#replicas.length > 0 && this.#then(() => (random.pick(this.#replicas).isSilent = true));
      case 'relayRestart':
        return this.#then(() => random.pick(this.relays).restart());
      case 'relayTakeover':
        return this.#then(() => random.pick(this.relays).loseSlot());
      case 'logTailLoss':
        return this.#then(() => log.loseTail());
      case 'logTruncation':
        return this.#then(() => log.truncate(1 + random.below(2)));
      case 'agentCrash':
        return this.#then(() => agent.crash());
      case 'agentStall':
        return this.#then(() => agent.stall(1000 + random.below(6000)));
      case 'agentConnection':
        return this.#then(() => agent.loseConnection());
      case 'redisFailover':
        return this.#then(() => region.failOver());
      case 'redisFlush':
        return random.oneIn(6) && this.#then(() => region.flush());
      case 'redisRestart':
        return random.oneIn(6) && this.#then(() => region.restartEmpty());
      case 'recordLoss':
        return (
          random.oneIn(4) && this.#then(() => region.lose(random.below(CELLS), random.oneIn(2) ? 'record' : 'state'))
        );
      case 'memoryEviction':
        return this.#then(() => this.#drop(region, 'memory'));
      case 'externalDelete':
        return this.#then(() => this.#drop(region, 'delete'));
      case 'trackingLoss':
        return process.tier !== undefined && this.#then(() => process.tier?.loseTracking());
      // These strike where what they concern is done.
      case 'asynchronousCommits':
      case 'clientConnection':
      case 'deliveryLoss':
      case 'lateCommand':
      case 'lateSend':
      case 'readerStall':
      case 'sendFailure':
        return false;
    }
  }

  #drop(region: SimRegion, loss: 'memory' | 'delete'): void {
    for (let i = 0; i < 6; i++) region.drop(this.world.random.pick(KEYS), loss);
  }

  #then(strike: () => void): true {
    strike();
    return true;
  }

  #isIdle(): boolean {
    return this.#busy() === '';
  }

  #busy(): string {
    const owned = this.agents.flatMap((agent) => [...agent.cells]);
    const parts: [string, boolean][] = [
      ['postgres', this.postgres.isIdle],
      ['replicas', this.#replicas.every((replica) => replica.isCaughtUp)],
      ['relays', this.relays.every((relay) => relay.isIdle) && this.relays.some((relay) => relay.isStreaming)],
      ['late', this.#lateSends.length === 0 && this.regions.every(({ late }) => late.length === 0)],
      ['processes', this.processes.every((process) => process.isIdle)],
      ['cells', owned.length === CELLS * this.regions.length && owned.every((cell) => cell.isIdle && !cell.isLost)],
      ['replica marks', owned.every((cell) => !cell.hasReplicas || !cell.isBehindReplicas)],
      ['settled marks', this.regions.every((region) => this.#isSettled(region))],
    ];
    return parts
      .filter(([, isIdle]) => !isIdle)
      .map(([name]) => name)
      .join(', ');
  }

  #isSettled(region: SimRegion): boolean {
    const last = this.postgres.branch.commits.at(-1);
    for (let cell = 0; cell < CELLS; cell++) {
      const { position } = region.redis.cell(cell);
      if (Object.entries(RULES).some(([family, rule]) => region.redis.cell(cell).rules.get(family) !== rule))
        return false;
      if (position === undefined || position.sourceEpoch.slotIdentity !== this.postgres.slot.identity) return false;
      if (last !== undefined && (position.watermark < last.endLsn || position.settledPrimary.lsn < last.endLsn))
        return false;
    }
    return true;
  }
}
