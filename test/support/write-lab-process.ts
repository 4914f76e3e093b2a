import { Cache } from '../../src/client/cache.ts';
import type { CacheStore } from '../../src/client/cache-store.ts';
import { readLimits } from '../../src/client/options.ts';
import type { Pool } from '../../src/client/pool.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { BusError } from '../../src/protocol/errors.ts';
import type { MemoryRegion } from '../../src/testing/memory-region.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { FILE } from './cache-region.ts';

/** The calls of writers and readers on a region, each one step. A test plants a fault by another. */
export type RegionSteps = Pick<MemoryRegion, 'lease' | 'leaseToWrite' | 'store' | 'giveUp' | 'evict'>;

/** What becomes of a command: `late`: it has no answer, and is run afterwards. */
export type CommandFate = 'answered' | 'not run' | 'late' | 'answer lost';

export interface LabProcessParts {
  readonly number: number;
  readonly region: MemoryRegion;
  readonly steps: RegionSteps;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly pool: Pool;
  readonly fate: () => CommandFate;
  readonly saw: (what: string) => void;
}

/** A process of the application: its cache, and one connection to the region, on which commands are run in their order, and answered so. */
export class LabProcess {
  readonly cache: Cache;
  readonly #parts: LabProcessParts;
  readonly #commands: (() => void)[] = [];
  readonly #answers: (() => void)[] = [];

  constructor(parts: LabProcessParts) {
    this.#parts = parts;
    const { number, region, clock, leaseMs, pool } = parts;
    const parsed = parseConfig([{ name: 'f', text: FILE }], {});
    if (parsed.kind === 'faults') throw new Error('the file');
    this.cache = new Cache(
      {
        config: parsed.config,
        limits: readLimits({ loadTimeoutMs: leaseMs }),
        store: this.#store(),
        leaseEnds: { watch: () => () => undefined },
        fleet: { enlist: async () => 2, dismiss: async () => undefined },
        clock,
        random: () => 0.5,
        process: `p${number}x`,
        listener: () => undefined,
        breaker: () => ({ state: 'closed', isQuiet: true, failed: () => undefined, run: (act) => act() }),
        primary: pool,
        disconnect: async () => undefined,
      },
      region.rules(),
    );
  }

  /** What may happen next on its connection. */
  get choices(): (() => void)[] {
    return [this.#commands, this.#answers].flatMap((line) => (line.length === 0 ? [] : [() => line.shift()?.()]));
  }

  #store(): CacheStore {
    const { region, steps, saw } = this.#parts;
    const call =
      <A extends unknown[], R>(step: (...args: A) => R) =>
      (...args: A): Promise<R> =>
        new Promise((resolve, reject) => {
          this.#commands.push(() => this.#run(() => step(...args), resolve, reject));
        });
    return {
      read: call((entry, wants) => region.read(entry, wants)),
      lease: call((entry, request) => steps.lease(entry, request)),
      leaseToWrite: call((entry, request) => steps.leaseToWrite(entry, request)),
      store: call((entry, request) => {
        const reply = steps.store(entry, request);
        saw(`writer ${reply.kind === 'stored' ? 'stored' : `refused: ${reply.why}`}`);
        return reply;
      }),
      giveUp: call((entry, token) => steps.giveUp(entry, token)),
      evict: call((entries) => steps.evict(entries)),
      rules: async () => region.rules(),
    };
  }

  #run<R>(step: () => R, resolve: (reply: R) => void, reject: (error: unknown) => void): void {
    const fate = this.#parts.fate();
    const fail = (): void => reject(new BusError('REDIS_UNREACHABLE', 'no answer'));
    if (fate !== 'answered') this.#parts.saw('a command without an answer');
    if (fate === 'not run') return fail();
    if (fate === 'late') {
      this.#commands.unshift(() => void step());
      return fail();
    }
    const reply = step();
    this.#answers.push(fate === 'answered' ? () => resolve(reply) : fail);
  }
}
