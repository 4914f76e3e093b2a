import { stringify } from 'yaml';
import { applySetup } from '../../src/cli/setup/apply.ts';
import { readSetupFacts } from '../../src/cli/setup/facts.ts';
import { planSetup } from '../../src/cli/setup/plan.ts';
import type { SetupPlan } from '../../src/cli/setup/wish.ts';
import { wishOf } from '../../src/cli/commands/setup.ts';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { ruleTables } from '../../src/config/catalog-check.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Connection } from '../../src/drivers/postgres/connection.ts';
import { PostgresSource } from '../../src/drivers/postgres/source.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { decodeRecord } from '../../src/protocol/record-codec.ts';
import type { RelayObserver } from '../../src/relay/observe.ts';
import { Relay } from '../../src/relay/relay.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { eventually } from './eventually.ts';

export function configOf(url: string, families: unknown, more: Readonly<Record<string, unknown>> = {}): BusConfig {
  const file = {
    bus: (more['bus'] as string | undefined) ?? 'shop',
    source: { url, ...(more['source'] as object | undefined) },
    log: { redisStreams: { url: 'redis://127.0.0.1:1', partitions: 2 } },
    regions: { eu: { redis: 'redis://127.0.0.1:1' } },
    families,
  };
  const result = parseConfig([{ name: 'test.yaml', text: stringify({ ...more, ...file }) }], {});
  if (result.kind === 'faults') throw new Error(JSON.stringify(result.faults));
  return result.config;
}

export async function setUp(sql: Connection, config: BusConfig, repairIdentity = true): Promise<SetupPlan> {
  const wish = wishOf(config, repairIdentity);
  const plan = planSetup(wish, await readSetupFacts(sql, wish), '0123abcd');
  await applySetup(sql, plan);
  return plan;
}

/** A relay in this process, on a real source and a log in memory. */
export class RunningRelay {
  readonly log: MemoryLog;
  readonly epochs: string[] = [];
  unrouted: readonly string[] = [];
  /** How often it has asked for a snapshot. */
  snapshots = 0;
  /** How often it has looked at clock and log. */
  looks = 0;
  /** How many looks were answered. */
  answers = 0;
  readonly #relay: Relay;
  readonly #source: PostgresSource;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #state = 'starting';

  constructor(config: BusConfig, log = new MemoryLog(config.log.partitions), clock: Clock = systemClock) {
    this.log = log;
    const nothing = (): void => undefined;
    const observer: RelayObserver = {
      state: (state) => (this.#state = state),
      epoch: ({ change, epoch }) => void this.epochs.push(`${epoch.number} ${change}`),
      attemptEnded: nothing,
      transaction: nothing,
      change: nothing,
      invalidation: nothing,
      widened: nothing,
      unrouted: (relations) => (this.unrouted = relations),
      messageFault: nothing,
      sent: nothing,
      progress: nothing,
    };
    const { url, publication, slotPrefix } = config.source;
    this.#source = new PostgresSource({
      url,
      bus: config.bus,
      publication,
      slotPrefix,
      ruleTables: ruleTables(config),
    });
    const snapshot = this.#source.snapshot.bind(this.#source);
    this.#source.snapshot = () => {
      this.snapshots += 1;
      return snapshot();
    };
    const look = this.#source.look.bind(this.#source);
    this.#source.look = async () => {
      this.looks += 1;
      const answer = await look();
      this.answers += 1;
      return answer;
    };
    const ports = {
      source: this.#source,
      openLog: () => Promise.resolve(this.log.openWriter()),
      clock,
      observer,
    };
    this.#relay = new Relay(ports, { config, parameterTypes: new Map(), ruleTexts: new Map() }, Math.random);
    this.#done = this.#relay.run(this.#stop.signal);
    this.#done.catch(() => undefined);
  }

  get state(): string {
    return this.#state;
  }

  records(): LogRecord[] {
    return [0, 1].flatMap((partition) => this.log.read(partition, 0).map(({ value }) => decodeRecord(value, 'test')));
  }

  /** As of when each record of a partition is complete. */
  times(partition: number): number[] {
    return this.log.read(partition, 0).map(({ value }) => decodeRecord(value, 'test').asOfMs);
  }

  /** What was invalidated since it was asked last: keys as they are, families with a star, tags with a hash. */
  async news(until: string): Promise<string[]> {
    await eventually(`${until} is invalidated`, () => this.#all().includes(until));
    const all = this.#all().filter((item) => !item.startsWith('marker:'));
    const fresh = all.filter((item) => !this.#told.has(item));
    for (const item of all) this.#told.add(item);
    return fresh
      .map((item) => item.replace(/^\d+ /, ''))
      .filter((item, i, list) => list.indexOf(item) === i)
      .toSorted((a, b) => a.localeCompare(b));
  }

  readonly #told = new Set<string>();

  /** Each item with its commit LSN before it, so that a later one of the same name is another; markers without. */
  #all(): string[] {
    return this.records().flatMap((record) =>
      record.transactions.flatMap(({ commitLsn, items }) =>
        items.map((item) => {
          if (item.scope === 'tag') return item.tag.startsWith('marker:') ? item.tag : `${commitLsn} #${item.tag}`;
          return `${commitLsn} ${item.scope === 'key' ? item.key : `${item.family}*`}`;
        }),
      ),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done.catch(() => undefined);
    await this.#source.close();
  }
}
