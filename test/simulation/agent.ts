import { Distrust } from '../../src/agent/distrust.ts';
import { LOOK_EVERY_MS, Ownership } from '../../src/agent/ownership.ts';
import { isUnrelated } from '../../src/agent/redis-life.ts';
import type { RedisIdentity } from '../../src/agent/region-store.ts';
import { type ReplicaState, settledOnReplicas } from '../../src/agent/replica-watch.ts';
import { batchFacts } from './catalog.ts';
import { CellWork } from './cell-work.ts';
import type { SimLog } from './log.ts';
import type { SimRegion } from './region.ts';
import type { World } from './world.ts';

/** As in replica-watch.ts. */
const BUSY_EVERY_MS = 10;
const LATE_MAX = 6;

export interface AgentParts {
  readonly world: World;
  readonly log: SimLog;
  readonly region: SimRegion;
}

/** An agent of a region: the steps of agent.ts, one at a time, around the deciding code itself. */
export class SimAgent {
  readonly #parts: AgentParts;
  #token: string;
  #ownership = new Ownership();
  #identity: RedisIdentity | undefined;
  #distrust = new Distrust();
  #cells = new Map<number, CellWork>();
  #lives = 0;
  #lookAtMs = 0;
  #stalledUntilMs = 0;
  /** What is to be done of the last look, one step each. */
  readonly #todo: (() => void)[] = [];
  #watch:
    | { readonly cells: readonly CellWork[]; readonly timeline: number; readonly states: (ReplicaState | undefined)[] }
    | undefined;
  #watchAtMs = 0;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#token = tokenOf(parts.world);
  }

  get cells(): Iterable<CellWork> {
    return this.#cells.values();
  }

  get isSending(): boolean {
    for (const cell of this.#cells.values()) if (cell.isSending) return true;
    return false;
  }

  act(): boolean {
    const { world, region } = this.#parts;
    if (world.nowMs < this.#stalledUntilMs && !world.isQuiet) return false;
    // Behind an address that stays the same a failover is noticed a little later.
    if (this.#lives !== region.lives && (this.#lives === 0 || world.isQuiet || world.random.oneIn(4)))
      return this.#connect();
    const todo = this.#todo.shift();
    if (todo !== undefined) {
      todo();
      return true;
    }
    if (world.nowMs >= this.#lookAtMs) return this.#look();
    if (world.random.oneIn(4) && this.#watchReplicas()) return true;
    for (const [cell, work] of this.#cells) {
      if (work.isLost) {
        this.#cells.delete(cell);
        const command = work.abandon();
        if (command !== undefined && region.late.length < LATE_MAX) region.late.push(command);
        continue;
      }
      if (this.#cells.size > 1 && world.random.oneIn(2)) continue;
      if (work.act()) return true;
    }
    return false;
  }

  /** The process ends, between any two steps, and another begins. */
  crash(): void {
    this.#parts.world.note(`${this.#parts.region.name}: agent ${this.#token} crashes`);
    this.#abandon();
    this.#token = tokenOf(this.#parts.world);
    this.#identity = undefined;
    this.#distrust = new Distrust();
    this.#lives = 0;
  }

  loseConnection(): void {
    this.#abandon();
    this.#lives = 0;
  }

  stall(ms: number): void {
    this.#stalledUntilMs = this.#parts.world.nowMs + ms;
    this.#parts.world.note(`${this.#parts.region.name}: agent ${this.#token} stalls for ${ms} ms`);
  }

  #abandon(): void {
    const { world, region } = this.#parts;
    for (const work of this.#cells.values()) {
      const command = work.abandon();
      if (
        command !== undefined &&
        this.#lives === region.lives &&
        world.faults.has('lateCommand') &&
        region.late.length < LATE_MAX
      )
        region.late.push(command);
    }
    this.#cells = new Map();
    this.#todo.length = 0;
    this.#watch = undefined;
  }

  #connect(): boolean {
    const { region, log } = this.#parts;
    this.#abandon();
    this.#lives = region.lives;
    this.#ownership = new Ownership();
    const before = this.#identity;
    this.#identity = region.redis.identity;
    if (before !== undefined && isUnrelated([before], this.#identity))
      this.#distrust.met(
        new Map(region.redis.owners().map((_, cell) => [cell, region.redis.cell(cell).read()?.epoch ?? null])),
        undefined,
      );
    void log;
    this.#lookAtMs = 0;
    return true;
  }

  #look(): boolean {
    const { world, region } = this.#parts;
    this.#lookAtMs = world.nowMs + LOOK_EVERY_MS;
    const living = region.redis.enlist(this.#token);
    for (const work of this.#cells.values())
      this.#todo.push(() => {
        const offset = region.redis.cell(work.cell).beat(this.#token);
        if (offset === null) work.isLost = true;
        else work.beaten(offset < 0 ? null : offset);
      });
    this.#todo.push(() => this.#decide(living));
    return true;
  }

  #decide(living: number): void {
    const { world, region, log } = this.#parts;
    const decision = this.#ownership.decide({
      owners: region.redis.owners(),
      unfit: new Set<number>(),
      token: this.#token,
      held: new Set(this.#cells.keys()),
      barred: new Set(),
      living,
      nowMs: world.nowMs,
    });
    this.#lookAtMs = Math.min(this.#lookAtMs, world.nowMs + decision.lookAgainMs);
    const { release } = decision;
    if (release !== undefined) {
      this.#cells.delete(release);
      this.#todo.push(() => region.redis.release(release, this.#token));
    }
    for (const { cell, seen } of decision.take)
      this.#todo.push(() => {
        const record = region.redis.cell(cell);
        if (!record.take(seen, this.#token)) return;
        world.note(`${region.name}: agent ${this.#token} takes cell ${cell} at ${record.position?.offset}`);
        const facts = batchFacts(region.replicas.length > 0);
        const begun = (): void => this.#distrust.begun(cell);
        const parts = { world, log, region, facts, token: this.#token, begun };
        const stored = record.read();
        const isDistrusted = this.#distrust.isDistrusted(cell, stored?.epoch ?? null);
        this.#cells.set(cell, new CellWork(cell, parts, stored, isDistrusted));
      });
  }

  /** Each replica is asked in a step of its own; what they said is written in the last. */
  #watchReplicas(): boolean {
    const { world, region } = this.#parts;
    const watch = this.#watch;
    if (watch === undefined) {
      if (region.replicas.length === 0 || world.nowMs < this.#watchAtMs) return false;
      const behind = [...this.#cells.values()].filter((cell) => cell.isBehindReplicas);
      const timeline = behind[0]?.position?.sourceEpoch.timeline;
      if (timeline === undefined) return false;
      this.#watch = { cells: behind, timeline, states: [] };
      return true;
    }
    const replica = region.replicas[watch.states.length];
    if (replica !== undefined) {
      watch.states.push(replica.read());
      return true;
    }
    this.#watch = undefined;
    this.#watchAtMs = world.nowMs + BUSY_EVERY_MS;
    const mark = settledOnReplicas(watch.states, watch.timeline);
    if (mark === undefined) {
      world.seen.replicasDisagreed += 1;
      return true;
    }
    for (const cell of watch.cells) {
      region.redis.cell(cell.cell).settleReplica(this.#token, mark);
      cell.settledReplica = mark;
    }
    return true;
  }
}

/** Sixteen hex digits that are no other agent's. */
function tokenOf(world: World): string {
  return world.name('').padStart(8, '0') + world.random.next().toString(16).padStart(8, '0');
}
