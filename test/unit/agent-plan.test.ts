import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchPlan } from '../../src/agent/batch-plan.ts';
import { LOOK_EVERY_MS, Ownership, OWNER_SILENT_MS, UNCLAIMED_MS } from '../../src/agent/ownership.ts';
import { advance, judge, placeInLog, startEpoch, type Position } from '../../src/agent/plan.ts';
import { isUnrelated } from '../../src/agent/redis-life.ts';
import { settledOnReplicas } from '../../src/agent/replica-watch.ts';
import { familiesOf } from '../../src/agent/sweep.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { busConfig, family, ORG_MEMBERS, rule, USER } from '../support/bus-config.ts';

const life = { systemId: '7', timeline: 1, slotIdentity: 'a', postmasterStartedAtMs: 0 };
const POSITION: Position = { offset: 10, sourceEpoch: { number: 3, ...life }, watermark: lsn(100) };

function record(from: number, to: number, epoch = 3, sentThrough = 0): LogRecord {
  const sourceEpoch = { number: epoch, ...life };
  return {
    bus: 'shop',
    sourceEpoch,
    from: lsn(from),
    to: lsn(to),
    sentThrough: lsn(sentThrough),
    settledPrimary: lsn(0),
    asOfMs: 0,
    transactions: [],
  };
}

test('what a record means for a cell, as the total table says', () => {
  const table = [
    [9, record(90, 95), { kind: 'skip' }],
    [10, record(90, 95), { kind: 'skip' }],
    [11, record(100, 120), { kind: 'apply', interval: true }],
    [11, record(90, 95), { kind: 'apply', interval: true }],
    [11, record(101, 120), { kind: 'gap', reason: 'interval gap' }],
    [12, record(100, 120), { kind: 'gap', reason: 'offset gap' }],
    [11, record(500, 520, 4), { kind: 'epoch', reason: 'source' }],
    [11, record(500, 520, 2), { kind: 'apply', interval: false }],
    [12, record(500, 520, 4), { kind: 'gap', reason: 'offset gap' }],
  ] as const;
  for (const [offset, one, verdict] of table) assert.deepEqual(judge(POSITION, offset, one), verdict);
});

test('a record that goes on within a transaction is a gap, unless what it goes on behind was applied', () => {
  const after = (commitLsn: number, next: number): LogRecord => ({
    ...record(100, 120),
    after: { commitLsn: lsn(commitLsn), next },
  });
  const gap = { kind: 'gap', reason: 'interval gap' };
  const apply = { kind: 'apply', interval: true };
  const stands = { ...POSITION, reached: { commitLsn: lsn(110), next: 50 } };
  assert.deepEqual(judge(POSITION, 11, after(110, 50)), gap, 'a position that does not know');
  assert.deepEqual(judge(stands, 11, after(110, 51)), gap, 'a record of it is lost');
  assert.deepEqual(judge(stands, 11, after(115, 1)), gap, 'all that was sent of another is lost');
  assert.deepEqual(judge(stands, 11, after(110, 50)), apply);
  assert.deepEqual(judge(stands, 11, after(110, 20)), apply, 'another relay has sent more');
  assert.deepEqual(judge(POSITION, 11, after(99, 50)), apply, 'it is complete');
  const { position } = startEpoch(11, after(110, 50));
  assert.deepEqual(judge(position, 11, after(110, 50)), apply, 'an epoch begins within it: the floor covers it');
});

test('the watermark never goes back, and a late record of a former epoch moves the offset alone', () => {
  assert.deepEqual(advance(POSITION, 11, record(90, 95), true), { ...POSITION, offset: 11 });
  assert.deepEqual(advance(POSITION, 11, record(100, 130), true), { ...POSITION, offset: 11, watermark: lsn(130) });
  assert.deepEqual(advance(POSITION, 11, record(100, 999, 2), false), { ...POSITION, offset: 11 });
});

test('the floor of a new epoch covers what was sent of a transaction that is not complete', () => {
  assert.deepEqual(startEpoch(7, record(100, 110)).floor, lsn(99));
  assert.deepEqual(startEpoch(7, record(100, 110, 3, 105)).floor, lsn(105));
  const { position } = startEpoch(7, record(100, 110));
  assert.equal(judge(position, 7, record(100, 110)).kind, 'apply', 'the record in hand applies at once');
});

test('a position is within the log, before it, or beyond it', () => {
  const bounds = { first: 5, next: 10 };
  assert.deepEqual(
    [3, 4, 9, 10].map((offset) => placeInLog(offset, bounds)),
    ['before the log', 'within', 'within', 'beyond the log'],
  );
});

/** Method: agents that look, decide, take and give back at random moments, on one shared list of owners, as the scripts let them. */
test('agents never hold one cell together, never more than their share, and end with all cells evenly held', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(4), { minLength: 0, maxLength: 60 }),
      (count, turns) => {
        const cells = 12;
        const owners = Array.from({ length: cells }, () => '');
        const agents = Array.from({ length: count }, (_, i) => ({
          token: `${i + 1}`.repeat(16),
          held: new Set<number>(),
          ownership: new Ownership(),
        }));
        let nowMs = 0;
        let beats = 0;
        const turn = (index: number): void => {
          const agent = agents[index % count];
          if (agent === undefined) return;
          // All of it in less time than makes a cell unclaimed: an agent whose turn does not come lives, and takes nothing.
          nowMs += 40;
          for (const cell of agent.held) owners[cell] = `${agent.token}:${(beats += 1)}`;
          const decision = agent.ownership.decide({
            owners: [...owners],
            token: agent.token,
            held: agent.held,
            barred: new Set(),
            unfit: new Set(),
            living: count,
            nowMs,
          });
          if (decision.release !== undefined) {
            agent.held.delete(decision.release);
            owners[decision.release] = '';
          }
          for (const { cell, seen } of decision.take) {
            if (owners[cell] !== seen) continue;
            owners[cell] = `${agent.token}:${(beats += 1)}`;
            agent.held.add(cell);
          }
          assert.ok(agent.held.size <= Math.ceil(cells / count));
          assert.equal(
            agents.reduce((sum, one) => sum + one.held.size, 0),
            new Set(agents.flatMap((one) => [...one.held])).size,
          );
        };
        for (const index of turns) turn(index);
        for (let round = 0; round < 40; round++) turn(round);
        assert.equal(
          agents.reduce((sum, one) => sum + one.held.size, 0),
          cells,
        );
      },
    ),
  );
});

/** Agents of which each can work on some cells only, and finds that out when it has taken one. */
function fleetOf(cells: number, unable: readonly ReadonlySet<number>[]) {
  const owners = Array.from({ length: cells }, () => '');
  const agents = unable.map((cannot, i) => ({
    cannot,
    token: `${i + 1}`.repeat(16),
    held: new Set<number>(),
    barred: new Set<number>(),
    ownership: new Ownership(),
  }));
  let nowMs = 0;
  let beats = 0;
  /** Each of the first `living` looks once. Returns the cells that were taken or given back. */
  const round = (living: number): number[] => {
    const moved: number[] = [];
    for (const { token, held, barred, cannot, ownership } of agents.slice(0, living)) {
      nowMs += LOOK_EVERY_MS / living;
      for (const cell of held) owners[cell] = `${token}:${(beats += 1)}`;
      const decision = ownership.decide({
        owners: [...owners],
        token,
        held,
        barred,
        unfit: new Set(),
        living,
        nowMs,
      });
      if (decision.release !== undefined) {
        moved.push(decision.release);
        held.delete(decision.release);
        owners[decision.release] = '';
      }
      for (const { cell, seen } of decision.take) {
        if (owners[cell] !== seen) continue;
        moved.push(cell);
        if (cannot.has(cell)) {
          barred.add(cell);
          owners[cell] = '';
          continue;
        }
        owners[cell] = `${token}:${(beats += 1)}`;
        held.add(cell);
      }
    }
    return moved;
  };
  return { agents, round, owners };
}

test('a cell that nobody claims is taken above the share, and is not given back as long as the same number lives', () => {
  const all = new Set(Array.from({ length: 12 }, (_, cell) => cell));
  const { agents, round } = fleetOf(12, [new Set(), all, new Set()]);
  const held = (): number[] => agents.map((agent) => agent.held.size);
  for (let ms = 0; ms < UNCLAIMED_MS; ms += LOOK_EVERY_MS) round(2);
  assert.deepEqual(held(), [6, 0, 0], 'the older agent might yet claim its share');
  for (let n = 0; n < 6; n++) round(2);
  assert.deepEqual(held(), [12, 0, 0]);
  for (let ms = 0; ms < 100 * UNCLAIMED_MS; ms += LOOK_EVERY_MS) assert.deepEqual(round(2), []);
  // A third comes, that can work on all: it gets its share, and of the rest one cell alone is given back, tried by the second, and taken back.
  const moved = Array.from({ length: 100 }, () => round(3)).flat();
  assert.deepEqual(held(), [8, 0, 4]);
  assert.deepEqual([...new Set(moved)], [11, 10, 9, 8, 7]);
});

test('with agents that cannot work on some cells, every cell that one of them can work on is held, and none moves for ever', () => {
  const cells = 12;
  const unable = fc.uniqueArray(fc.nat(cells - 1)).map((list) => new Set(list));
  fc.assert(
    fc.property(
      fc.array(unable, { maxLength: 4 }),
      fc.nat(4),
      fc.array(fc.nat(40), { maxLength: 4 }),
      (some, at, joins) => {
        const fleet = fleetOf(cells, some.toSpliced(at, 0, new Set()));
        const count = fleet.agents.length;
        for (let living = 1; living < count; living++)
          for (let n = joins[living - 1] ?? 0; n > 0; n--) fleet.round(living);
        for (let n = 0; n < 60 * cells; n++) fleet.round(count);
        assert.deepEqual(
          fleet.owners.filter((owner) => owner === ''),
          [],
        );
        for (let ms = 0; ms < 10 * UNCLAIMED_MS; ms += LOOK_EVERY_MS) assert.deepEqual(fleet.round(count), []);
      },
    ),
  );
});

test('a cell is free after three seconds of silence on the watcher’s own clock, and not before', () => {
  const ownership = new Ownership();
  const look = (owner: string, nowMs: number) =>
    ownership.decide({
      owners: [owner],
      token: 'b'.repeat(16),
      held: new Set(),
      barred: new Set(),
      unfit: new Set(),
      living: 1,
      nowMs,
    }).take.length;
  assert.equal(look('aaaa:1', 0), 0);
  assert.equal(look('aaaa:1', OWNER_SILENT_MS - 1), 0);
  assert.equal(look('aaaa:2', OWNER_SILENT_MS), 0);
  assert.equal(look('aaaa:2', 2 * OWNER_SILENT_MS - 1), 0);
  assert.equal(look('aaaa:2', 2 * OWNER_SILENT_MS), 1);
  assert.equal(look('', 2 * OWNER_SILENT_MS), 1);
});

/** The looks of one agent, which holds the cells that show its token. */
function lookerOf(token: string) {
  const ownership = new Ownership();
  return (owners: readonly string[], nowMs: number, living = 2) => {
    const held = new Set(owners.flatMap((owner, cell) => (owner.startsWith(token) ? [cell] : [])));
    return ownership.decide({ owners, token, held, barred: new Set(), unfit: new Set(), living, nowMs });
  };
}

test('whoever lacks cells looks often while they change hands, and then as seldom as the others', () => {
  const [us, them, third] = ['a', 'b', 'c'].map((digit) => digit.repeat(16));
  const look = lookerOf(us ?? '');
  const isSoon = (decision: ReturnType<typeof look>): boolean => decision.lookAgainMs < LOOK_EVERY_MS / 10;
  const full = (count: number): string[] => [
    `${us}:${count}`,
    `${us}:${count}`,
    `${them}:${count}`,
    `${them}:${count}`,
  ];
  // With its share, it looks seldom, whatever moves.
  assert.equal(look(full(1), 0).lookAgainMs, LOOK_EVERY_MS);
  // The other has left the living and holds its cells still: they are to be free soon.
  const left = look(full(2), 500, 1);
  assert.deepEqual([left.take, isSoon(left)], [[], true]);
  const freed = look([`${us}:3`, `${us}:3`, '', `${them}:2`], 525, 1);
  assert.deepEqual([freed.take, isSoon(freed)], [[{ cell: 2, seen: '' }], true]);
  // Another was first; as long as something moves it goes on, though counts alone, which rise for ever, are no move.
  let nowMs = 550;
  let count = 4;
  const taken = (): string[] => [`${us}:${(count += 1)}`, `${us}:${count}`, `${third}:${count}`, `${them}:${count}`];
  const until = nowMs + 60_000;
  let looks = 0;
  for (let last = look(taken(), nowMs, 1); nowMs < until; last = look(taken(), nowMs, 1)) {
    nowMs += last.lookAgainMs;
    looks += 1;
  }
  assert.ok(looks < 60_000 / LOOK_EVERY_MS + 200, `${looks} looks in a minute in which nothing moved`);
});

test('a silent owner is looked at again as soon as its time is up, and is not looked at for ever', () => {
  const [us, them] = ['a', 'b'].map((digit) => digit.repeat(16));
  const look = lookerOf(us ?? '');
  const silent = [`${us}:1`, `${them}:7`];
  assert.equal(look(silent, 0).lookAgainMs, LOOK_EVERY_MS);
  assert.equal(look(silent, OWNER_SILENT_MS - 120).lookAgainMs, 120);
  // Two are said to live, so the share is one: the cell is not ours to take, and its time is up.
  const over = look(silent, OWNER_SILENT_MS);
  assert.deepEqual([over.take, over.lookAgainMs], [[], LOOK_EVERY_MS]);
  assert.deepEqual(look(silent, OWNER_SILENT_MS + 500, 1).take, [{ cell: 1, seen: `${them}:7` }]);
});

test('a promoted replica and a restart follow the server that was seen; an unrelated one does not', () => {
  const seen = { runId: 'r1', replicationId: 'x', formerReplicationId: '0' };
  const other = { runId: 'r9', replicationId: 'z', formerReplicationId: '0' };
  for (const before of [[seen], [other, seen]]) {
    assert.equal(isUnrelated(before, seen), false);
    assert.equal(isUnrelated(before, { runId: 'r2', replicationId: 'y', formerReplicationId: 'x' }), false);
    assert.equal(isUnrelated(before, { runId: 'r2', replicationId: 'x', formerReplicationId: '0' }), false);
    assert.equal(isUnrelated(before, { runId: 'r2', replicationId: 'y', formerReplicationId: '0' }), true);
  }
});

test('replicas settle to the slowest of them, and not at all while one is silent, promoted or on another timeline', () => {
  const at = (replayed: number, isInRecovery = true, timeline = 1) => ({
    replayLsn: lsn(replayed),
    isInRecovery,
    timeline,
  });
  assert.deepEqual(settledOnReplicas([at(50), at(40)], 1), { timeline: 1, lsn: lsn(40) });
  for (const bad of [undefined, at(50, false), at(50, true, 2)])
    assert.equal(settledOnReplicas([at(40), bad], 1), undefined);
  assert.equal(settledOnReplicas([], 1), undefined);
});

test('a sweep covers its family, every family for a new epoch, and the labelled ones for a tag', () => {
  const config = busConfig([USER, ORG_MEMBERS]);
  const names = (field: string): string[] => familiesOf(field, config).map(({ name }) => name);
  assert.deepEqual(
    [names('f:user'), names('t:812'), names('*'), names('f:gone')],
    [['user'], ['user'], ['user', 'org-members'], []],
  );
});

test('cells that nobody could work on are taken last, so that they keep none from being taken', () => {
  const owners = ['', '', null, ''];
  const facts = { owners, held: new Set<number>(), barred: new Set<number>(), unfit: new Set([0]), nowMs: 0 };
  for (const token of ['0', '1', '2', '3'].map((digit) => digit.padStart(16, '0'))) {
    const taken = new Ownership().decide({ ...facts, token: `${token.slice(-8)}00000000`, living: 2 }).take;
    assert.deepEqual(new Set(taken.map(({ cell }) => cell)), new Set([1, 3]));
    const alone = new Ownership().decide({ ...facts, token, living: 1 }).take;
    assert.equal(alone.at(-1)?.cell, 0);
  }
});

test('beside a plain value its slot is unlinked, and beside one of a family that is not known here too', () => {
  const card = family('card', 'card:{id}', [rule('users', 'id')], { isPlain: true });
  const evict = (name: string, key: string) => ({ scope: 'key', family: name, act: 'evict', key }) as const;
  const items = [evict('user', 'user:1'), evict('card', 'card:1'), evict('gone', 'gone:1')];
  const transactions = [{ commitLsn: lsn(90), committedAtMs: 0, ordinal: 0, items }];
  const planned = (observe: boolean) => {
    const plan = new BatchPlan(
      { config: busConfig([USER, card], [], { observe }), cells: 4, hasReplicas: false },
      POSITION,
    );
    plan.add(11, { ...record(90, 100), transactions }, true);
    const { keys, plainKeys } = plan.batch();
    return [keys, plainKeys];
  };
  assert.deepEqual(planned(false), [
    ['user:1', 'card:1', 'gone:1'],
    ['card:1', 'gone:1'],
  ]);
  assert.deepEqual(planned(true), [[], []]);
});
