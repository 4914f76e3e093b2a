import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GateWatch } from '../../src/agent/gate-watch.ts';
import { judgeRedis, judgeServers } from '../../src/agent/redis-life.ts';
import { observeGate } from '../../src/bin/gate-observer.ts';
import { Metrics } from '../../src/runtime/metrics.ts';
import { admitOf, gateOf, parseGate, type StoredGate } from '../../src/protocol/region-gate.ts';
import { MemoryGate } from '../../src/testing/memory-gate.ts';
import { gateStoreOf } from '../../src/testing/memory-stores.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { WARMUP_DEFAULTS } from '../../src/config/warmup-schema.ts';

const RAMP = WARMUP_DEFAULTS.ramp;

const server = (runId: string, replicationId: string, formerReplicationId = '') => ({
  runId,
  replicationId,
  formerReplicationId,
});

test('what has happened to a Redis follows from its servers and its gate, in every case', () => {
  const before = [server('r1', 'p1'), server('r2', 'p2')];
  const cases = [
    ['the first look', judgeServers(undefined, [server('x', 'y')]), 'same'],
    ['the same', judgeServers(before, before), 'same'],
    ['a cell that has moved between them', judgeServers(before, [before[1], before[1]] as typeof before), 'same'],
    ['restarted with its data', judgeServers(before, [server('r9', 'p1'), server('r2', 'p2')]), 'successors'],
    ['promoted', judgeServers(before, [server('r9', 'p9', 'p1'), server('r2', 'p2')]), 'successors'],
    ['one stranger is enough', judgeServers(before, [server('r9', 'p9'), server('r2', 'p2')]), 'strangers'],
  ] as const;
  for (const [what, got, expected] of cases) assert.equal(got, expected, what);
  assert.deepEqual(
    (['same', 'successors', 'strangers'] as const).map((servers) => [
      judgeRedis(servers, true),
      judgeRedis(servers, false),
    ]),
    [
      [undefined, 'COLD'],
      ['REPLAY', 'COLD'],
      ['DISTRUST', 'COLD'],
    ],
  );
});

test('nothing is let in where it is COLD, everything where it is WARM, and between them what the ramp says of the share', () => {
  const at = (state: StoredGate['state'], share: number) => admitOf({ state, share }, RAMP);
  assert.deepEqual([at('COLD', 1), at('WARM', 0)], [0, 1]);
  assert.deepEqual(
    [0, 0.4999, 0.5, 0.79, 0.8, 0.9, 1].map((share) => at('WARMING', share)),
    [0, 0, 0.05, 0.05, 0.25, 0.5, 0.5],
  );
  assert.equal(admitOf({ state: 'WARMING', share: 1 }, []), 0, 'without a ramp it opens at the end');
  assert.deepEqual([gateOf(null, RAMP).state, gateOf(null, RAMP).admit], ['COLD', 0]);
});

test('a record without an epoch or a known state is no gate; a share that is none is 0, and one beyond its bounds is bounded', () => {
  for (const fields of [[null, 'COLD'], ['', 'COLD'], ['E', null], ['E', 'HOT'], []])
    assert.equal(parseGate(fields), null);
  assert.equal(parseGate(['E', 'WARM', '1', 'why', '1e300'])?.sinceMs, 0, 'a time that no calendar has');
  const share = (text: string | null) => parseGate(['E', 'WARMING', text, 'why', '12'])?.share;
  assert.deepEqual(['0.5', 'x', null, '7', '-1', 'Infinity'].map(share), [0.5, 0, 0, 1, 0, 0]);
});

test('cells that were seen to stand before a Redis was emptied are not noted under the gate that came after', async () => {
  const gate = new MemoryGate(() => 1);
  const told: string[] = [];
  let names = 0;
  const watch = new GateWatch({
    gate: gateStoreOf(gate),
    observer: {
      gate: () => undefined,
      redisChanged: () => undefined,
      gateCold: (epoch, reason) => void told.push(`${epoch} ${reason}`),
      gateUnfit: (error) => assert.fail(error),
    },
    epochName: () => `E${(names += 1)}`,
    regionCells: 2,
    servers: 'same',
  });
  await watch.look();
  await watch.note(
    new Map([
      [0, 'a'],
      [1, 'b'],
    ]),
  );
  await watch.look();
  // Emptied behind the look and the beat; another agent is the first to find it.
  gate.clear();
  gate.markCold('X', 'no gate was there');
  await watch.note(
    new Map([
      [0, 'A'],
      [1, 'b'],
    ]),
  );
  await watch.look();
  await watch.note(
    new Map([
      [0, 'aa'],
      [1, 'bb'],
    ]),
  );
  assert.deepEqual([gate.read()?.epoch, told], ['X', ['E1 no gate was there']], 'one coldness, one epoch');
});

test('the page of the gate is 200 at full traffic only; what was seen last is told for a while without Redis, by page and metrics alike, and then no more', async () => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const nothing = { info: () => undefined, warn: () => undefined };
  const observer = observeGate({ region: 'eu', ramp: RAMP, metrics, log: nothing, clock } as never);
  const gate = (state: StoredGate['state'], share: number): StoredGate => ({
    epoch: 'E',
    state,
    share,
    reason: '',
    sinceMs: 0,
  });
  const told = async () => {
    const { code, body } = observer.page();
    const samples = [...(await metrics.text()).matchAll(/^afterwrite_region_(?:state|share|admit)\{(.*)\} (\S+)$/gmu)];
    return [code, (body as { admit: number }).admit, ...samples.map(([, , value]) => Number(value))];
  };
  assert.deepEqual(await told(), [503, 0], 'nothing is known yet');
  await clock.advance(30_000);
  assert.deepEqual(await told(), [503, 0, 0, 0, 0, 0, 0], 'nothing is there to be known');
  observer.gate(gate('WARMING', 0.95));
  assert.deepEqual(await told(), [503, 0.5, 0, 1, 0, 0.95, 0.5]);
  observer.gate(gate('WARM', 0.95));
  assert.deepEqual(await told(), [200, 1, 0, 0, 1, 0.95, 1]);
  await clock.advance(29_000);
  assert.deepEqual(await told(), [200, 1, 0, 0, 1, 0.95, 1], 'a short cut says nothing of warmth');
  await clock.advance(2000);
  assert.deepEqual(await told(), [503, 0, 0, 0, 0, 0, 0]);
});
