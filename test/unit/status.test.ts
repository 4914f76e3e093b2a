import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWhole, statusLines } from '../../src/cli/commands/status.ts';
import { type BusStatus, summarise, unrouted } from '../../src/cli/status/status.ts';
import type { CellView } from '../../src/drivers/redis/region-view.ts';
import { gateOf } from '../../src/protocol/region-gate.ts';
import { lsn } from '../../src/protocol/lsn.ts';

const NOW_MS = 1_700_000_000_000;

function cell(number: number, change: Partial<CellView> = {}): CellView {
  return {
    cell: number,
    owner: 'aa',
    epoch: 'e',
    offset: 7,
    watermark: lsn(0x500),
    asOfMs: NOW_MS - 20,
    settledPrimary: lsn(0x500),
    settledReplica: lsn(0x400),
    ...change,
  };
}

const LIVING = new Map([['aa', 400]]);

test('a region is as far as its slowest cell', () => {
  const cells = [cell(0), cell(1, { watermark: lsn(0x300), asOfMs: NOW_MS - 900, settledReplica: lsn(0x200) })];
  assert.deepEqual(summarise(cells, LIVING, NOW_MS), {
    cells: 2,
    ownedCells: 2,
    lostCells: 0,
    agents: 1,
    watermark: '0/300',
    stalenessMs: 900,
    settledReplica: '0/200',
  });
});

test('an agent that is not heard of any more owns nothing, though its name still stands in the cells', () => {
  const { ownedCells, agents } = summarise(
    [cell(0), cell(1, { owner: 'bb' })],
    new Map([
      ['aa', 0],
      ['bb', 3000],
    ]),
    0,
  );
  assert.deepEqual([ownedCells, agents], [1, 1]);
  assert.equal(summarise([cell(0)], new Map(), NOW_MS).ownedCells, 0);
});

test('a cell that was given back is owned by nobody', () => {
  assert.equal(summarise([cell(0), cell(1, { owner: undefined })], LIVING, NOW_MS).ownedCells, 1);
});

test('a cell of which a record is gone is lost; one that has never begun is not', () => {
  const never = { epoch: undefined, offset: undefined, watermark: undefined, asOfMs: undefined };
  const cells = [cell(0, { epoch: undefined }), cell(1, { offset: undefined }), cell(2, never)];
  assert.equal(summarise(cells, LIVING, NOW_MS).lostCells, 2);
});

test('until every cell has begun, a region has neither watermark nor staleness', () => {
  const { watermark, stalenessMs } = summarise(
    [cell(0), cell(1, { watermark: undefined, asOfMs: undefined })],
    LIVING,
    NOW_MS,
  );
  assert.deepEqual([watermark, stalenessMs], [null, null]);
  assert.equal(summarise([cell(0), cell(1, { asOfMs: 0 })], LIVING, NOW_MS).stalenessMs, null);
});

test('without replicas nothing is settled on them', () => {
  const cells = [cell(0), cell(1, { settledReplica: lsn(0) })];
  assert.equal(summarise(cells, LIVING, NOW_MS).settledReplica, null);
});

test('a clock that is behind the one of Postgres shows no negative staleness', () => {
  assert.equal(summarise([cell(0, { asOfMs: NOW_MS + 50 })], LIVING, NOW_MS).stalenessMs, 0);
});

test('unrouted are the published tables that no rule names, the partitions of one as their root, once', () => {
  const sent = ['users', 'audit', 'events_1', 'events_2', 'orders_1'].map((name) => ({
    name: `public.${name}`,
    root: `public.${name.replace(/_\d$/, '')}`,
  }));
  const ruled = new Set(['public.users', 'public.orders', 'public.orders_1']);
  assert.deepEqual(unrouted(sent, ruled), ['public.audit', 'public.events']);
});

test('a rule on one partition routes it, though its root has none', () => {
  assert.deepEqual(unrouted([{ name: 'public.p1', root: 'public.p' }], new Set(['public.p1'])), []);
});

const WELL: BusStatus = {
  bus: 'shop',
  source: {
    relay: {
      applicationName: 'afterwrite-relay-shop',
      clientAddress: '10.0.0.7',
      state: 'streaming',
      lagBytes: 1 << 20,
    },
    slot: {
      name: 'afterwrite_shop_0123abcd',
      walStatus: 'reserved',
      retainedWalBytes: 3 << 20,
      confirmedLsn: '0/300',
    },
    unrouted: ['public.audit'],
  },
  log: { kind: 'kafka', name: 'afterwrite.shop', partitions: 12, records: 42 },
  regions: { eu: { ...summarise([cell(0)], LIVING, NOW_MS), gate: gateOf(null, []) } },
  buffers: {},
};
const AWAY = { error: 'REDIS_UNREACHABLE: Redis does not answer: connect ECONNREFUSED' };

test('one screen shows relay, slot, log and each region', () => {
  assert.deepEqual(statusLines(WELL), [
    'bus shop',
    'relay    afterwrite-relay-shop from 10.0.0.7, streaming, 1.0 MiB behind',
    'slot     afterwrite_shop_0123abcd, wal_status reserved, holds back 3.0 MiB, confirmed 0/300',
    'unrouted public.audit: published, and no rule names them',
    'log      kafka afterwrite.shop: 12 partitions, 42 records',
    '',
    'region  cells owned  agents  watermark  staleness  replicas settled  gate',
    'eu      1 of 1       1       0/500      20 ms      0/400             COLD',
  ]);
  assert.equal(isWhole(WELL), true);
});

test('buffers are shown by what waits in them, who flushes and when it last was; one that is behind is not well', () => {
  const views = {
    entries: 12,
    bytes: 2 << 20,
    oldestMs: 900,
    isBehind: false,
    flushers: 2,
    lastFlushMs: 80,
    refusedRows: 0,
  };
  const late = { ...views, oldestMs: 12_000, isBehind: true, flushers: null, lastFlushMs: null, refusedRows: null };
  const status = { ...WELL, buffers: { views, late, gone: AWAY } };
  assert.deepEqual(statusLines(status).slice(-7), [
    '',
    'buffer  unflushed  bytes    oldest            flushers  last flush  refused rows',
    'views   12         2.0 MiB  900 ms            2         80 ms ago   0',
    'late    12         2.0 MiB  12000 ms, behind  -         -           -',
    'gone    away       -        -                 -         -           -',
    '',
    `gone: ${AWAY.error}`,
  ]);
  const wholes = [{ views }, { views, late }, { gone: AWAY }].map((buffers) => isWhole({ ...WELL, buffers }));
  assert.deepEqual(wholes, [true, false, false]);
});

test('a region that is warmed shows how far it is; that it is cold makes no bus less whole, as nobody need ask', () => {
  const stored = { epoch: 'E1', state: 'WARMING', share: 0.857, reason: '', sinceMs: 0 } as const;
  const gate = gateOf(stored, [{ share: 0.8, admit: 0.25 }]);
  const status = { ...WELL, regions: { eu: { ...summarise([cell(0)], LIVING, NOW_MS), gate } } };
  assert.match(statusLines(status).join('\n'), / WARMING, 85 % warm, admits 25 %$/);
  assert.equal(isWhole(status), true);
});

test('what cannot be reached is shown with its code, and the rest all the same', () => {
  const status = { ...WELL, regions: { ...WELL.regions, us: AWAY } };
  const text = statusLines(status).join('\n');
  assert.match(text, /^us +away /m);
  assert.match(text, /^us: REDIS_UNREACHABLE: /m);
  assert.match(text, /^region  cells owned  agents/m, 'an error makes no column wider');
  assert.match(text, /^eu +1 of 1/m);
  assert.equal(isWhole(status), false);
});

test('the bus is not whole without its database, its log, a relay, or an owner for every cell', () => {
  const { source, regions } = WELL;
  const orphaned = { ...summarise([cell(0)], new Map(), NOW_MS), gate: gateOf(null, []) };
  assert.ok(!('error' in source));
  for (const change of [
    { source: AWAY },
    { source: { ...source, relay: null } },
    { log: AWAY },
    { regions: { ...regions, us: orphaned } },
  ])
    assert.equal(isWhole({ ...WELL, ...change }), false, JSON.stringify(change));
});
