import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSetup } from '../../src/cli/setup/plan.ts';
import type { SetupFacts, SetupWish } from '../../src/cli/setup/wish.ts';
import type { Slot } from '../../src/drivers/postgres/slot.ts';
import { onlySlot } from '../../src/drivers/postgres/slot.ts';
import { parseSnapshot } from '../../src/drivers/postgres/snapshot.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { isVisible } from '../../src/protocol/snapshot.ts';

const WISH: SetupWish = {
  bus: 'shop',
  publication: 'afterwrite_shop',
  slotPrefix: 'afterwrite_shop',
  tables: [],
  eventTrigger: false,
  hasBuffers: false,
  repairIdentity: true,
};

const EMPTY: SetupFacts = {
  serverVersion: 180_000,
  walLevel: 'logical',
  isStandby: false,
  tables: new Map(),
  publication: null,
  slots: [],
  ddlReportBody: null,
  hasDdlReport: false,
  hasBufferTables: false,
};

const SLOT: Slot = {
  name: 'afterwrite_shop_00000001',
  identity: '00000001',
  database: 'shop',
  isActive: false,
  walStatus: 'reserved',
  restartLsn: null,
  confirmedLsn: null,
  retainedWalBytes: 0,
  failover: true,
  mayPrecedePublication: false,
};

function titles(facts: Partial<SetupFacts>, wish: Partial<SetupWish> = {}): string[] {
  return planSetup({ ...WISH, ...wish }, { ...EMPTY, ...facts }, 'abcd0123').steps.map(({ title }) => title);
}

test('the publication comes before the triggers, and the slot comes last', () => {
  assert.deepEqual(titles({}, { eventTrigger: true }), [
    'Make the publication afterwrite_shop: 0 tables',
    'Install event triggers that report DDL',
    'Make the replication slot afterwrite_shop_abcd0123',
  ]);
});

test('a lost slot is dropped and made anew, under another name', () => {
  assert.deepEqual(titles({ slots: [{ ...SLOT, walStatus: 'lost' }] }).slice(1), [
    'Drop the lost slot afterwrite_shop_00000001',
    'Make the replication slot afterwrite_shop_abcd0123',
  ]);
});

test('of several slots none is chosen, neither to keep nor to stream from', () => {
  const slots = [SLOT, { ...SLOT, name: 'afterwrite_shop_00000002' }];
  const { steps, refusals } = planSetup(WISH, { ...EMPTY, slots }, 'abcd0123');
  assert.equal(steps.length, 1);
  assert.equal(refusals[0]?.repair.length, 2);
  assert.throws(
    () => onlySlot(slots, 'afterwrite_shop'),
    (error) => isBusError(error, 'SETTING_INVALID'),
  );
});

test('names what stands in the way of a slot: a standby, and a wal_level below logical', () => {
  const standby = planSetup(WISH, { ...EMPTY, isStandby: true }, 'abcd0123');
  assert.deepEqual([standby.steps.length, standby.refusals.length], [0, 1]);
  const replica = planSetup(WISH, { ...EMPTY, walLevel: 'replica' }, 'abcd0123');
  assert.match(replica.refusals[0]?.repair.join() ?? '', /wal_level = logical/);
  assert.equal(replica.steps.length, 1);
});

test('slots are kept on standbys where the server can', () => {
  const sql = (serverVersion: number): string =>
    planSetup(WISH, { ...EMPTY, serverVersion }, 'abcd0123')
      .steps.at(-1)
      ?.sql.join() ?? '';
  assert.match(sql(170_000), /failover => true/);
  assert.doesNotMatch(sql(169_999), /failover/);
});

test('a snapshot is read as Postgres prints it', () => {
  const snapshot = parseSnapshot('4294967300:4294967310:4294967302,4294967305');
  const visible = [4294967299n, 4294967301n, 4294967302n, 4294967305n, 4294967309n, 4294967310n];
  assert.deepEqual(
    visible.map((xid) => isVisible(snapshot, xid)),
    [true, true, false, false, true, false],
  );
  assert.equal(parseSnapshot('7:7:').inProgress.size, 0);
});

test('a file with buffers gets their tables, once', () => {
  assert.ok(titles({}, { hasBuffers: true }).includes('Make the tables of buffers'));
  assert.ok(!titles({ hasBufferTables: true }, { hasBuffers: true }).includes('Make the tables of buffers'));
  assert.ok(!titles({}).includes('Make the tables of buffers'));
});
