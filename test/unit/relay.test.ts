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
import { rowImage, ScriptedSource } from '../support/scripted-source.ts';

const PARTITIONS = 2;

/** A log that acknowledges when the test says so. It fails the test when a second send overlaps the first. */
class HeldLog {
  readonly records: { partition: number; record: LogRecord }[] = [];
  opens = 0;
  isHeld = false;
  #release: ((error?: Error) => void) | undefined;
  overlapped = false;

  open(): LogWriter {
    this.opens += 1;
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
): { log: HeldLog; relay: Relay; done: Promise<void>; states: string[] } {
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
  const ports = { source, openLog: async () => log.open(), clock: systemClock, observer };
  const relay = new Relay(
    ports,
    { config: busConfig([USER, ORG_MEMBERS]), parameterTypes: new Map(), ruleTexts: new Map() },
    () => 0.01,
  );
  const stop = new AbortController();
  const done = relay.run(stop.signal);
  done.catch(() => undefined);
  running.push({ relay, stop, done, log });
  return { log, relay, done, states };
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
