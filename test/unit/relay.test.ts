import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { decodeRecord } from '../../src/protocol/record-codec.ts';
import type { RelayObserver } from '../../src/relay/observe.ts';
import { Relay } from '../../src/relay/relay.ts';
import type { LogWriter, OutgoingRecord } from '../../src/relay/to-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { busConfig, ORG_MEMBERS, USER } from '../support/bus-config.ts';
import { eventually } from '../support/eventually.ts';
import { rowImage, ScriptedSource, USERS_RELATION } from '../support/scripted-source.ts';

const PARTITIONS = 2;

/** A log that acknowledges when the test says so. It fails the test when a second send overlaps the first. */
class HeldLog {
  readonly records: { partition: number; record: LogRecord }[] = [];
  opens = 0;
  /** What opening waits for. */
  opening: Promise<unknown> = Promise.resolve();
  isHeld = false;
  #release: ((error?: Error) => void) | undefined;
  overlapped = false;

  async open(): Promise<LogWriter> {
    this.opens += 1;
    await this.opening;
    let isSending = false;
    return {
      partitions: PARTITIONS,
      lastRecords: async () => {
        const last = (partition: number): string | null => this.texts.get(partition) ?? null;
        return Array.from({ length: PARTITIONS }, (_, partition) => last(partition));
      },
      send: async (records) => {
        this.overlapped ||= isSending;
        isSending = true;
        if (this.isHeld) {
          const failure = await new Promise<Error | undefined>((resolve) => (this.#release = resolve));
          if (failure !== undefined) throw failure;
        } else await new Promise((resolve) => setImmediate(resolve));
        this.#append(records);
        isSending = false;
      },
      close: async () => undefined,
    };
  }

  readonly texts = new Map<number, string>();

  get isWaiting(): boolean {
    return this.#release !== undefined;
  }

  release(error?: Error): void {
    this.#release?.(error);
    this.#release = undefined;
  }

  keys(): string[] {
    const items = this.records.flatMap(({ record }) => record.transactions.flatMap((t) => t.items));
    return items.flatMap((item) =>
      item.scope === 'key' ? [item.key] : item.scope === 'family' ? [`${item.family}*`] : [],
    );
  }

  #append(records: readonly OutgoingRecord[]): void {
    for (const { partition, value } of records) {
      this.texts.set(partition, value);
      this.records.push({ partition, record: decodeRecord(value, 'test') });
    }
  }
}

const running: { relay: Relay; stop: AbortController; done: Promise<void>; log: HeldLog }[] = [];

function startRelay(
  source: ScriptedSource,
  log = new HeldLog(),
  observe: Partial<RelayObserver> = {},
): { log: HeldLog; relay: Relay; done: Promise<void>; states: string[]; stop: () => void } {
  const states: string[] = [];
  const nothing = (): void => undefined;
  const observer: RelayObserver = {
    state: (state) => states.push(state),
    epoch: nothing,
    attemptEnded: nothing,
    transaction: nothing,
    change: nothing,
    invalidation: nothing,
    widened: nothing,
    unrouted: nothing,
    messageFault: nothing,
    sent: nothing,
    progress: nothing,
    ...observe,
  };
  const ports = { source, openLog: () => log.open(), clock: systemClock, observer };
  const relay = new Relay(
    ports,
    { config: busConfig([USER, ORG_MEMBERS]), parameterTypes: new Map(), ruleTexts: new Map() },
    () => 0.01,
  );
  const stop = new AbortController();
  const done = relay.run(stop.signal);
  done.catch(() => undefined);
  running.push({ relay, stop, done, log });
  return { log, relay, done, states, stop: () => stop.abort() };
}

afterEach(async () => {
  for (const { stop, done, log } of running.splice(0)) {
    stop.abort();
    log.isHeld = false;
    log.release();
    await done.catch(() => undefined);
    assert.equal(log.overlapped, false, 'one send at a time');
  }
});

test('does not confirm an LSN before the log has acknowledged it in every partition', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined && source.confirms.length > 0);
  log.isHeld = true;
  source.commit(200, 210, 1, 2, 3);
  await eventually('a send is out', () => log.isWaiting);
  assert.ok(!source.confirms.includes(lsn(210)));
  log.isHeld = false;
  log.release();
  await eventually('confirmed', () => source.confirms.includes(lsn(210)));
  assert.deepEqual(new Set(log.keys()), new Set(['user:1', 'user:2', 'user:3']));
});

test('does not confirm an LSN that no new snapshot can see yet, though the log has it', async () => {
  const source = new ScriptedSource();
  source.visibleBelow = 200n;
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  source.commit(200, 210, 1);
  await eventually(
    'sent, and empty records since',
    () => log.keys().length === 1 && log.records.filter((r) => r.record.to === lsn(210)).length >= 2 * PARTITIONS,
  );
  assert.ok(!source.confirms.includes(lsn(210)));
  assert.ok(log.records.every((r) => r.record.settledPrimary < lsn(210)));
  source.visibleBelow = 201n;
  await eventually('confirmed', () => source.confirms.includes(lsn(210)));
  await eventually('settled is published', () => log.records.some((r) => r.record.settledPrimary === lsn(210)));
});

test('a failed send ends the attempt, and the next begins at what the slot has confirmed', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined && source.confirms.length > 0);
  const opens = source.opens;
  log.isHeld = true;
  source.commit(200, 210, 1);
  await eventually('a send is out', () => log.isWaiting);
  log.isHeld = false;
  log.release(new BusError('PGOUTPUT_MALFORMED', 'any coded error that resets'));
  await eventually('a new attempt', () => source.opens === opens + 1 && source.sink !== undefined);
  source.commit(200, 210, 1);
  await eventually('confirmed', () => source.confirms.includes(lsn(210)));
  assert.deepEqual(log.keys(), ['user:1']);
});

test('rows of an open transaction are sent before its COMMIT, in an interval that ends before it', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  const sink = source.sink;
  sink?.begin(lsn(300), 0, 300);
  const users = {
    id: 7,
    schema: 'public',
    name: 'users',
    replicaIdentity: 'full' as const,
    columns: [{ name: 'id', typeOid: 20, partOfIdentity: true }],
  };
  sink?.relation(users);
  sink?.insert(users, rowImage('1'));
  sink?.keepalive(lsn(900), 0);
  await eventually('the row is sent', () => log.keys().includes('user:1'));
  assert.ok(log.records.every((r) => r.record.to <= lsn(300)));
  sink?.commit(lsn(300), lsn(310), 0);
  await eventually('confirmed', () => source.confirms.includes(lsn(310)));
});

test('an idle source is confirmed to the end of its WAL', async () => {
  const source = new ScriptedSource();
  startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  source.sink?.keepalive(lsn(5000), 0);
  await eventually('confirmed', () => source.confirms.includes(lsn(5000)));
});

test('a backlog is not taken for fresh: the time of a keepalive says nothing, that of a look counts once the stream has come to where it saw the log end', async () => {
  const source = new ScriptedSource();
  source.flushedLsn = lsn(500);
  source.clockMs = 7000;
  const { log } = startRelay(source);
  const timesUpTo = (to: number): Set<number> =>
    new Set(log.records.filter((r) => r.record.to === lsn(to)).map((r) => r.record.asOfMs));
  await eventually('streaming', () => source.sink !== undefined);
  source.sink?.keepalive(lsn(200), 9000);
  await eventually('two rounds', () => log.records.filter((r) => r.record.to === lsn(200)).length >= 2 * PARTITIONS);
  source.commit(480, 490, 1);
  await eventually('the rest of the backlog but for its end', () => timesUpTo(490).size > 0);
  source.sink?.keepalive(lsn(500), 9000);
  await eventually('the time of the look', () => timesUpTo(500).has(7000));
  source.clockMs = 8000;
  await eventually('the time of a later look, of a log that ends there still', () => timesUpTo(500).has(8000));
  assert.deepEqual([timesUpTo(200), timesUpTo(490)], [new Set([0]), new Set([0])]);
  assert.ok(log.records.every((r) => r.record.asOfMs <= 8000));
});

test('a relay that finds the slot held stands by, and takes over when it is free', async () => {
  const source = new ScriptedSource(() => new BusError('POSTGRES_SLOT_ACTIVE', 'held'));
  source.slotIsHeld = true;
  const { states } = startRelay(source);
  await eventually('standby', () => states.includes('standby'));
  source.slotIsHeld = false;
  await eventually('streaming', () => states.includes('streaming'));
});

test('a drain sends and confirms what was read, and ends', async () => {
  const source = new ScriptedSource();
  const { log, relay, done } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  source.commit(200, 210, 1, 2);
  await relay.drain();
  await done;
  assert.deepEqual(new Set(log.keys()), new Set(['user:1', 'user:2']));
  assert.equal(source.confirms.at(-1), lsn(210));
  assert.equal(source.isPaused, true);
});

test('a new life of the source draws the next epoch, and the same life keeps it', async () => {
  const log = new HeldLog();
  const first = new ScriptedSource();
  const one = startRelay(first, log);
  await eventually('records', () => log.texts.size === PARTITIONS);
  await one.relay.drain();
  const second = new ScriptedSource();
  second.life = { ...second.life, slotIdentity: 'other' };
  startRelay(second, log);
  await eventually('the next epoch', () =>
    log.records.some((r) => r.record.sourceEpoch.number > (log.records[0]?.record.sourceEpoch.number ?? 0)),
  );
});

test('an error for the operator ends the relay', async () => {
  const source = new ScriptedSource();
  const { done } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  source.fail(new BusError('RECORD_INVALID', 'an operator has to act'));
  await assert.rejects(done, { code: 'RECORD_INVALID' });
});

test('a last record that somebody else wrote is passed over while another partition can be read, and stops the relay otherwise', async () => {
  const log = new HeldLog();
  const first = startRelay(new ScriptedSource(), log);
  await eventually('records', () => log.texts.size === PARTITIONS);
  await first.relay.drain();
  log.texts.set(0, 'garbage');
  const source = new ScriptedSource();
  const second = startRelay(source, log);
  await eventually('streaming', () => source.sink !== undefined);
  await second.relay.drain();
  log.texts.set(0, 'garbage').set(1, 'garbage');
  await assert.rejects(startRelay(new ScriptedSource(), log).done, { code: 'RECORD_INVALID' });
});

test('a clean end vouches for the next run of the server alone, not for one that follows a crash of it', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('records', () => log.texts.size === PARTITIONS);
  log.isHeld = true;
  await eventually('a send is out', () => log.isWaiting);
  source.life = { ...source.life, postmasterStartedAtMs: 2000 };
  source.endCleanly();
  log.release();
  await eventually('a send of the next run is out', () => source.opens === 2 && log.isWaiting);
  source.life = { ...source.life, postmasterStartedAtMs: 3000 };
  log.isHeld = false;
  log.release(new BusError('POSTGRES_UNREACHABLE', 'the server is gone'));
  await eventually('a new epoch', () =>
    log.records.some((r) => r.record.sourceEpoch.number > (log.records[0]?.record.sourceEpoch.number ?? 0)),
  );
});

test('a server that shuts down while nothing is written has ended in order, though it refuses a look before the stream is over', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('records', () => log.texts.size === PARTITIONS);
  source.life = { ...source.life, postmasterStartedAtMs: 2000 };
  source.lookFails = new BusError('POSTGRES_UNREACHABLE', 'the database system is shutting down');
  await eventually('a look is refused', () => source.failedLooks > 0);
  source.lookFails = undefined;
  source.endCleanly();
  await eventually('the next run of the server', () =>
    log.records.some((r) => r.record.sourceEpoch.postmasterStartedAtMs === 2000),
  );
  assert.equal(epochsOf(log).size, 1);
});

test('a relay whose stream the server has ended does not say that it streams', async () => {
  const source = new ScriptedSource();
  const { states } = startRelay(source);
  await eventually('streaming', () => states.at(-1) === 'streaming');
  source.slotIsHeld = true;
  source.endCleanly();
  await eventually('not streaming', () => states.at(-1) === 'starting');
});

test('a message that is not UTF-8 makes everything old, since the keys that it names cannot be read', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  source.sink?.begin(lsn(300), 0, 300);
  const content = Buffer.from('{"keys":[{"family":"user","params":{"id":"Zürich"}}]}', 'latin1');
  source.sink?.message(true, lsn(300), 'afterwrite', content);
  source.sink?.commit(lsn(300), lsn(310), 0);
  await eventually('sent', () => source.confirms.includes(lsn(310)));
  assert.deepEqual(new Set(log.keys()), new Set(['user*', 'org-members*']));
});

const epochsOf = (log: HeldLog): ReadonlySet<number> => new Set(log.records.map((r) => r.record.sourceEpoch.number));

test('a crash that was told of begins a new epoch though the server’s start says nothing, and once only', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('records', () => log.texts.size === PARTITIONS);
  source.crashes += 1;
  source.fail(new BusError('POSTGRES_CRASHED', 'told by 57P02'));
  await eventually('a new epoch', () => epochsOf(log).size === 2);
  source.fail(new BusError('POSTGRES_UNREACHABLE', 'any failure'));
  await eventually('a third attempt', () => source.opens === 3 && source.sink !== undefined);
  const before = log.records.length;
  await eventually('more records', () => log.records.length > before);
  assert.equal(epochsOf(log).size, 2);
});

test('a crash is remembered until the epoch that answers it is in the log, through attempts that never send', async () => {
  const source = new ScriptedSource();
  const { log } = startRelay(source);
  await eventually('records', () => log.texts.size === PARTITIONS);
  source.crashes += 1;
  source.fail(new BusError('POSTGRES_CRASHED', 'told by 57P02'));
  log.isHeld = true;
  await eventually('the first send of the new epoch is out', () => source.opens === 2 && log.isWaiting);
  log.release(new BusError('KAFKA_SEND_FAILED', 'nothing landed'));
  await eventually('the next attempt sends', () => source.opens === 3 && log.isWaiting);
  log.isHeld = false;
  log.release();
  await eventually('a new epoch', () => epochsOf(log).size === 2);
});

test('a relay that goes on with an epoch in which nothing was settled waits as its first relay would have', async () => {
  const log = new HeldLog();
  const source = new ScriptedSource();
  // A transaction from before the slot, whose COMMIT no snapshot shows yet.
  source.visibleBelow = 50n;
  source.nextXid = 60n;
  const first = startRelay(source, log);
  await eventually('records', () => log.texts.size === PARTITIONS);
  first.stop();
  await first.done;
  const before = log.records.length;
  startRelay(source, log);
  await eventually('each partition has a record of the second', () => log.records.length >= before + 2 * PARTITIONS);
  assert.ok(log.records.every((r) => r.record.settledPrimary === 0n));
  assert.equal(epochsOf(log).size, 1);
  source.visibleBelow = 61n;
  await eventually('settled', () => log.records.some((r) => r.record.settledPrimary === lsn(100)));
});

test('a relay that reads of a source epoch above its own confirms nothing beyond, and draws the next; those of other buses are none of its', async () => {
  const log = new HeldLog();
  const source = new ScriptedSource();
  startRelay(source, log);
  await eventually('records', () => log.texts.size === PARTITIONS && source.sink !== undefined);
  const own = [...epochsOf(log)][0] ?? 0;
  assert.deepEqual(source.marks, [own], 'it has marked its own');
  const mark = (at: number, bus: string, number: number): void => {
    source.sink?.begin(lsn(at), 0, at);
    source.sink?.message(true, lsn(at), 'afterwrite-epoch', Buffer.from(JSON.stringify({ bus, number })));
    source.sink?.commit(lsn(at), lsn(at + 10), 0);
  };
  mark(200, 'another', own + 1000);
  mark(220, 'shop', own);
  await eventually('confirmed', () => source.confirms.includes(lsn(230)));
  assert.throws(
    () => mark(300, 'shop', own + 5_000_000),
    (error: Error) => {
      source.fail(error);
      return (error as BusError).code === 'SOURCE_EPOCH_PASSED';
    },
  );
  await eventually('the next epoch', () => epochsOf(log).size === 2);
  assert.deepEqual([...epochsOf(log)], [own, own + 5_000_001]);
  assert.ok(source.confirms.every((confirmed) => confirmed <= lsn(300)));
});

test('a relay that stands by opens no log', async () => {
  const source = new ScriptedSource(() => new BusError('POSTGRES_SLOT_ACTIVE', 'held'));
  source.slotIsHeld = true;
  const { log } = startRelay(source);
  await eventually('two tries', () => source.opens === 2);
  assert.equal(log.opens, 0);
});

test('a drain while the stream is being opened ends the relay at once, and gives the slot back if it comes late', async () => {
  const source = new ScriptedSource();
  const { promise, resolve } = Promise.withResolvers<void>();
  source.opening = promise;
  const { log, relay, done, states } = startRelay(source);
  await eventually('opening', () => source.opens === 1);
  await relay.drain();
  await done;
  resolve();
  await eventually('the slot is given back', () => source.stops === 1);
  assert.deepEqual([states, log.opens], [['draining', 'stopped'], 0]);
});

test('a drain while the log is being opened ends the relay at once, and it never says that it streams', async () => {
  const source = new ScriptedSource();
  const log = new HeldLog();
  const { promise, resolve } = Promise.withResolvers<void>();
  log.opening = promise;
  const { relay, done, states } = startRelay(source, log);
  await eventually('opening', () => log.opens === 1);
  await relay.drain();
  await done;
  resolve();
  assert.equal(source.stops, 1);
  assert.deepEqual(states, ['draining', 'stopped']);
});

test('a relay that drains says so until it has ended', async () => {
  const source = new ScriptedSource();
  const { relay, done, states } = startRelay(source);
  await eventually('streaming', () => states.at(-1) === 'streaming');
  await relay.drain();
  await done;
  assert.deepEqual(states, ['streaming', 'draining', 'stopped']);
});

/** Both families, in every partition. */
const WIDENED = 2 * PARTITIONS;

/** Streams a transaction that inserts a row of user 1 into a relation of another OID and name. */
function commitInto(
  source: ScriptedSource,
  oid: number,
  commitLsn: number,
  describe: boolean,
  columns?: string[],
): void {
  const made = columns?.map((name) => ({ name, typeOid: 20, partOfIdentity: true })) ?? USERS_RELATION.columns;
  const relation = { ...USERS_RELATION, id: oid, name: `t${oid}`, columns: made };
  source.sink?.begin(lsn(commitLsn), commitLsn, commitLsn);
  if (describe) source.sink?.relation(relation);
  source.sink?.insert(relation, rowImage('1', null));
  source.sink?.commit(lsn(commitLsn), lsn(commitLsn + 10), commitLsn);
}

test('a relation that nobody knows may feed any rule, until a catalog shows the transaction that described it', async () => {
  const source = new ScriptedSource();
  source.visibleBelow = 200n;
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  commitInto(source, 8, 200, true);
  await eventually('the catalog is read, and read again', () => source.catalogReads >= 3);
  commitInto(source, 8, 300, false);
  await eventually('sent, both of them', () => log.keys().length === 2 * WIDENED);
  assert.deepEqual(new Set(log.keys()), new Set(['user*', 'org-members*']));
  source.visibleBelow = 1000n;
  await eventually('settled', () => source.confirms.includes(lsn(310)));
  const reads = source.catalogReads;
  await eventually('the catalog is read once more', () => source.catalogReads > reads);
  commitInto(source, 8, 400, false);
  await eventually('confirmed', () => source.confirms.includes(lsn(410)));
  assert.equal(log.keys().length, 2 * WIDENED, 'it is no table of a rule');
  source.catalog = {
    ...source.catalog,
    entries: [...source.catalog.entries, { ...source.catalog.entries[0]!, oid: 8, name: 'public.t8' }],
  };
  commitInto(source, 8, 500, true);
  await eventually('described anew: it may have become a partition', () => log.keys().length === 3 * WIDENED);
  await eventually('it is known', () => {
    commitInto(source, 8, 600 + source.confirms.length * 20, false);
    return log.keys().includes('user:1');
  });
});

test('a published table that feeds no rule widens nothing, unless it has every column of a table that does', async () => {
  const source = new ScriptedSource();
  source.visibleBelow = 200n;
  source.catalog = { ...source.catalog, unrelated: [8, 9] };
  const { log } = startRelay(source);
  await eventually('streaming', () => source.sink !== undefined);
  commitInto(source, 8, 200, true, ['id', 'note']);
  commitInto(source, 9, 300, true, ['id', 'note', 'org_id']);
  await eventually('the second is sent', () => log.keys().length === WIDENED);
  assert.deepEqual(
    log.records.flatMap(({ record }) => record.transactions.map((t) => t.commitLsn)),
    Array.from({ length: PARTITIONS }, () => lsn(300)),
  );
});
