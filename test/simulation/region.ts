import { type BatchFacts, BatchPlan } from '../../src/agent/batch-plan.ts';
import { judge } from '../../src/agent/plan.ts';
import type { ApplyAnswer, NewEpoch } from '../../src/agent/region-store.ts';
import { MemoryRegion, type MemorySnapshot } from '../../src/testing/memory-region.ts';
import { addEntries } from '../../src/testing/memory-fence.ts';
import type { MemoryPosition } from '../../src/testing/memory-cell.ts';
import { LSN_ZERO } from '../../src/protocol/lsn.ts';
import { CELLS, KEYS, KEYS_OF_CELL, type SimKey } from './catalog.ts';
import type { SimLog, SimRecord } from './log.ts';
import { Needs } from './needs.ts';
import type { Branch, Effect, Postgres, SimItem, Version } from './postgres.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** What is known of a cell beside what Redis holds: the truth that Redis is checked against. */
interface CellTruth {
  /** The history that the cell's epoch follows. */
  branch: Branch | undefined;
  /** Where the cell's epoch began. */
  start: number;
  /** Every record up to this offset has had its effect, or is fenced by a floor. */
  offset: number;
  epoch: string | undefined;
  position: MemoryPosition | undefined;
}

type Loss = 'delete' | 'memory';

interface Checkpoint {
  readonly redis: MemorySnapshot;
  readonly needs: Needs;
  readonly evicted: Int32Array;
  readonly deleted: Int32Array;
  readonly cells: readonly CellTruth[];
}

export interface RegionListener {
  /** A key must be newer from now on, or everything of a cell. */
  raised(key: SimKey): void;
}

/** A region: its Redis in memory, its replicas, and the truth of what was applied to it. */
export class SimRegion {
  readonly name: string;
  readonly redis: MemoryRegion;
  /** Those that the file lists: agents ask them how far they are. */
  readonly replicas: readonly Replica[];
  /** Those that readers read: one that nobody has listed too. */
  readonly readable: readonly Replica[];
  readonly listeners: RegionListener[] = [];
  /** Commands of broken connections that the server still carries out. */
  readonly late: (() => void)[] = [];
  readonly #world: World;
  readonly #postgres: Postgres;
  /** Raised when every connection is broken. */
  lives = 1;
  needs = new Needs();
  /** The step at which a key was last evicted by an agent, and dropped by anybody else. */
  evicted = new Int32Array(KEYS.length);
  deleted = new Int32Array(KEYS.length);
  readonly loss: Loss[] = [];
  #cells: CellTruth[];
  #checkpoint: Checkpoint;

  constructor(
    world: World,
    postgres: Postgres,
    name: string,
    replicas: readonly Replica[],
    unlisted: readonly Replica[],
  ) {
    this.#world = world;
    this.#postgres = postgres;
    this.name = name;
    this.replicas = replicas;
    this.readable = [...replicas, ...unlisted];
    this.redis = new MemoryRegion({ cells: CELLS, nowMs: () => world.nowMs });
    this.#cells = noTruth();
    this.#checkpoint = this.#copy();
  }

  branchOf(cell: number): Branch | undefined {
    return this.#truth(cell).branch;
  }

  // What agents do to it.

  apply(cell: number, token: string, plan: BatchPlan, branch: Branch | undefined): ApplyAnswer {
    const whole = plan.batch();
    const batch = this.#world.plant === 'fence outside the script' ? { ...whole, fences: new Map() } : whole;
    const before = this.redis.cell(cell).position;
    const answer = this.redis.apply(cell, token, batch);
    if (answer.kind !== 'applied' || before === undefined) return answer;
    if (batch.offset - batch.after !== plan.records) this.#world.fail('I2', 'a batch moves the position past a record');
    this.#truth(cell).offset = batch.offset;
    this.hadEffect(cell, plan);
    if (this.#world.plant === 'position outside the script') {
      const record = this.redis.cell(cell);
      if (record.position !== undefined)
        record.position = { ...record.position, offset: before.offset, watermark: before.watermark };
      return answer;
    }
    this.advanced(cell, before, branch);
    return answer;
  }

  /** For planted faults: the part of an apply that comes in a step of its own, on whatever Redis is there by then. */
  applyRest(cell: number, plan: BatchPlan, branch: Branch | undefined): void {
    const record = this.redis.cell(cell);
    const { position } = record;
    const batch = plan.batch();
    if (position === undefined) return;
    if (this.#world.plant === 'fence outside the script')
      for (const [number, entries] of batch.fences)
        record.buckets.set(number, addEntries(record.buckets.get(number), entries, LSN_ZERO).bucket);
    if (this.#world.plant !== 'position outside the script') return;
    record.position = { ...position, offset: batch.offset, watermark: batch.watermark };
    this.advanced(cell, position, branch);
  }

  /** Notes what the items of a plan have made old. */
  hadEffect(cell: number, plan: BatchPlan): void {
    for (const { items } of plan.transactions)
      for (const item of items as readonly SimItem[])
        for (const effect of item.effects[cell] ?? []) this.#raise(effect.key, effect);
  }

  /** Checks what a cell says of itself after its position has moved. */
  advanced(cell: number, before: MemoryPosition, branch: Branch | undefined): void {
    const truth = this.#truth(cell);
    const { position } = this.redis.cell(cell);
    if (position === undefined) return;
    if (position.offset > truth.offset)
      this.#world.fail('I2', `cell ${cell} stands at ${position.offset}, and only ${truth.offset} is applied`);
    if (branch !== undefined) {
      truth.branch = branch;
      this.#checkWatermark(cell, before, position, branch);
    }
    this.#checkMonotone(cell);
    if (position.droppedLsn > before.droppedLsn) this.#world.seen.entriesDropped += 1;
  }

  beginEpoch(cell: number, token: string, epoch: NewEpoch, branch: Branch): ApplyAnswer {
    const answer = this.redis.beginEpoch(cell, token, epoch);
    if (answer.kind !== 'applied') return answer;
    const truth = this.#truth(cell);
    truth.branch = branch;
    truth.offset = epoch.offset;
    truth.start = epoch.offset;
    this.#checkMonotone(cell);
    // What is below the first record is applied nowhere: values of the new epoch must have it all.
    const below = branch.indexOf(epoch.watermark) - 1;
    for (const key of KEYS_OF_CELL[cell] ?? []) {
      key.rows.forEach((row, place) => this.needs.reset(key, place, this.#versionAt(branch, below, row)));
      for (const listener of this.listeners) listener.raised(key);
    }
    return answer;
  }

  // What befalls it.

  drop(key: SimKey, loss: Loss): void {
    if (!this.redis.drop(key.key)) return;
    this.deleted[key.index] = this.#world.step;
    this.loss[key.index] = loss;
    this.#world.note(`${this.name}: ${key.key} is dropped (${loss})`);
  }

  /** The replica that would be promoted has come up to here. */
  checkpoint(): void {
    this.#checkpoint = this.#copy();
  }

  failOver(): void {
    const { redis, needs, evicted, deleted, cells } = this.#checkpoint;
    if (needs.raised < this.needs.raised) this.#world.seen.failoverLostEvictions += 1;
    this.redis.failOver(redis);
    this.needs = needs.clone();
    this.evicted = evicted.slice();
    this.deleted = deleted.slice();
    this.#cells = cells.map((truth) => ({ ...truth }));
    this.#world.note(`${this.name}: its Redis fails over`);
    this.#newLife();
  }

  restartEmpty(): void {
    this.redis.restartEmpty();
    this.#emptied('restarts empty');
    this.#newLife();
  }

  flush(): void {
    this.redis.flush();
    this.#emptied('is flushed');
  }

  lose(cell: number, part: 'record' | 'state'): void {
    if (part === 'record') this.redis.loseRecord(cell);
    else this.redis.loseState(cell);
    this.#world.seen.recordOrStateLost += 1;
    this.#world.note(`${this.name}: cell ${cell} loses its ${part}`);
    const truth = this.#truth(cell);
    truth.position = undefined;
    truth.epoch = undefined;
  }

  // Checks.

  /** Why a value must not be stored or served now; undefined where it may. */
  fault(key: SimKey, payload: string): string | undefined {
    const now = this.#postgres.branch.id;
    const branch = this.#truth(key.cell).branch?.id ?? 0;
    let start = 0;
    for (let place = 0; place < key.rows.length; place++) {
      const comma = payload.indexOf(',', start);
      const id = Number(payload.slice(start, comma < 0 ? undefined : comma));
      start = comma + 1;
      const version = this.#postgres.versions[id] as Version;
      const needed = this.needs.top(key, place, version.group, now);
      if (needed !== null && id < needed.id)
        return `I3: ${key.key} has r${key.rows[place]}=${id}, and the eviction by ${needed.id} (commit ${needed.commit?.lsn}) was applied`;
      if (version.diedOn <= branch)
        return `I6: ${key.key} has r${key.rows[place]}=${id}, which is from before the source epoch of the cell`;
    }
    return undefined;
  }

  /** Replaying a suffix of the log that the epoch has seen changes nothing. */
  checkReplay(cell: number, log: SimLog, facts: BatchFacts): void {
    const copy = this.redis.cell(cell).clone();
    const { position, owner } = copy;
    if (position === undefined || owner === undefined) return;
    const from = Math.max(this.#truth(cell).start, log.bounds(cell).first - 1, position.offset - 8);
    copy.position = { ...position, offset: from };
    const plan = new BatchPlan(facts, copy.position);
    for (let offset = from + 1; offset <= position.offset; offset++) {
      const { record } = log.at(cell, offset) as SimRecord;
      const verdict = judge(plan.position, offset, record);
      if (verdict.kind === 'apply') plan.add(offset, record, verdict.interval);
      else if (this.#world.faults.has('logTailLoss')) return; // The log holds other records now than were applied.
      else this.#world.fail('I5', `record ${offset}, replayed, is judged ${verdict.kind}`);
    }
    if (plan.records === 0) return;
    const answer = copy.apply(owner.token, plan.batch(), () => ({ unlinked: 0, expired: 0 }));
    if (answer.kind !== 'applied') this.#world.fail('I5', `a suffix, replayed, is refused: ${answer.kind}`);
    const isSame =
      copy.position.offset === position.offset &&
      copy.position.watermark === position.watermark &&
      copy.position.settledPrimary.lsn === position.settledPrimary.lsn &&
      copy.epoch === this.redis.cell(cell).epoch &&
      [...copy.marks].every(([field, mark]) => {
        const before = this.redis.cell(cell).marks.get(field);
        return before !== undefined && before.offset === mark.offset && before.lsn === mark.lsn;
      });
    if (!isSame) this.#world.fail('I5', `a suffix of cell ${cell} of ${this.name}, replayed, changes it`);
  }

  #raise(key: SimKey, effect: Effect): void {
    this.needs.raise(effect, this.#postgres.branch.id);
    this.evicted[key.index] = this.#world.step;
    for (const listener of this.listeners) listener.raised(key);
  }

  /** Everything below the watermark was applied, or the floor fences it. */
  #checkWatermark(cell: number, before: MemoryPosition, after: MemoryPosition, branch: Branch): void {
    const now = this.#postgres.branch.id;
    for (let i = branch.indexOf(before.watermark); ; i++) {
      const commit = branch.commits[i];
      if (commit === undefined || commit.lsn >= after.watermark) return;
      for (const item of commit.items) {
        for (const effect of item.effects[cell] ?? []) {
          const { key, place, version, group } = effect;
          const needed = this.needs.top(key, place, group, now);
          if (version.diedOn <= now || (needed !== null && needed.id >= version.id)) continue;
          if (commit.lsn > after.floor)
            this.#world.fail(
              'I2',
              `cell ${cell} of ${this.name} has watermark ${after.watermark}, and ${key.key} of ${commit.lsn} is not applied`,
            );
          // Nothing was evicted: what was stored since has proved that it is above the floor.
          this.needs.raiseWhole(effect, now);
        }
      }
    }
  }

  /** Within an epoch nothing goes back. */
  #checkMonotone(cell: number): void {
    const { epoch, position } = this.redis.cell(cell);
    const truth = this.#truth(cell);
    const before = truth.position;
    if (before !== undefined && position !== undefined && truth.epoch === epoch) {
      const isBack =
        position.offset < before.offset ||
        position.watermark < before.watermark ||
        position.floor < before.floor ||
        position.droppedLsn < before.droppedLsn ||
        (position.settledPrimary.timeline === before.settledPrimary.timeline &&
          position.settledPrimary.lsn < before.settledPrimary.lsn) ||
        (position.settledReplica.timeline === before.settledReplica.timeline &&
          position.settledReplica.lsn < before.settledReplica.lsn);
      if (isBack) this.#world.fail('I4', `cell ${cell} of ${this.name} goes back within its epoch`);
    }
    truth.epoch = epoch;
    truth.position = position;
  }

  #versionAt(branch: Branch, last: number, row: number): Version {
    for (let i = last; i >= 0; i--)
      for (const version of branch.commits[i]?.versions ?? []) if (version.row === row) return version;
    return this.#postgres.versions[row] as Version;
  }

  #emptied(how: string): void {
    this.#world.seen.redisEmptied += 1;
    this.#world.note(`${this.name}: its Redis ${how}`);
    this.#cells = noTruth();
    // Nothing is there that could be old; whatever comes is of a new epoch.
    this.needs = new Needs();
    this.deleted.fill(this.#world.step);
    this.#checkpoint = this.#copy();
  }

  #newLife(): void {
    this.lives += 1;
    this.late.length = 0;
    this.#checkpoint = this.#copy();
  }

  #copy(): Checkpoint {
    return {
      redis: this.redis.snapshot(),
      needs: this.needs.clone(),
      evicted: this.evicted.slice(),
      deleted: this.deleted.slice(),
      cells: this.#cells.map((truth) => ({ ...truth })),
    };
  }

  #truth(cell: number): CellTruth {
    return this.#cells[cell] as CellTruth;
  }
}

function noTruth(): CellTruth[] {
  return Array.from({ length: CELLS }, () => ({
    branch: undefined,
    start: 0,
    offset: -1,
    epoch: undefined,
    position: undefined,
  }));
}
