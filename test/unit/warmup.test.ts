import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusError, type ErrorCode } from '../../src/protocol/errors.ts';
import { parserOf } from '../../src/protocol/key-template.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { HotFamily, Shard } from '../../src/warmup/hot-keys.ts';
import { untilAnswered } from '../../src/runtime/until-answered.ts';
import { FamilyReader } from '../../src/warmup/family-reader.ts';
import { openGradually } from '../../src/warmup/gradual.ts';
import type { WarmedKey } from '../../src/warmup/outcome.ts';
import { Pace } from '../../src/warmup/pace.ts';
import { WarmupPlan } from '../../src/warmup/plan.ts';
import { followShadow, SHADOW_ROUND_MS } from '../../src/warmup/shadow.ts';
import { type Reader, Warmup, type WarmupEnd } from '../../src/warmup/warmup.ts';
import { FastClock } from '../kubernetes/fast-clock.ts';
import { family, rule } from '../support/bus-config.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryHotKeys, MemoryWarmGate, zipfKeys } from '../support/memory-warmup.ts';

const USER = family('user', 'user:{id}', [rule('users', 'id')], { source: 'select 1 where {id} > 0' });
const POST = family('post', 'post:{id}', [rule('posts', 'id')], { source: 'select 2 where {id} > 0' });
const OWN = family('own', 'own:{id}', [rule('users', 'id')], { isLoadedElsewhere: true });
const WHOLE = { shard: 0, of: 1 };
/** A second's pause is over in 50 ms. */
const CLOCK = new FastClock(20);

function planOf(parts: readonly HotFamily[], shard = WHOLE): WarmupPlan {
  const plan = new WarmupPlan([USER, POST, OWN], ({ source }) => source !== undefined, shard);
  for (const part of parts) plan.add(part);
  plan.sort();
  return plan;
}

/** A region in memory: what is asked for is stored, unless `says` has another answer for the key. */
class MemoryReader implements Reader {
  readonly asked: string[] = [];
  readonly stored = new Set<string>();
  says: (key: string) => WarmedKey | undefined = () => undefined;

  async warm(_family: string, keys: readonly string[]) {
    this.asked.push(...keys);
    await new Promise<void>((resolve) => setImmediate(resolve));
    return { keys: keys.map((key) => this.says(key) ?? this.#store(key)), loadMs: 1 };
  }

  #store(key: string): WarmedKey {
    if (this.stored.has(key)) return { kind: 'hit' };
    this.stored.add(key);
    return { kind: 'stored' };
  }
}

interface WarmupOptions {
  readonly target?: number;
  readonly shard?: Shard;
  readonly waits?: boolean;
  readonly clock?: Clock;
}

function warmupOf(plan: WarmupPlan, reader: Reader, gate = new MemoryWarmGate(), options: WarmupOptions = {}) {
  const { target = 0.95, shard = WHOLE, waits = true, clock = CLOCK } = options;
  const limits = { concurrencyMin: 1, concurrencyMax: 4, batchMax: 100, latencyMaxMs: 1000 };
  const observer = { asked: () => undefined, progress: () => undefined, hindered: () => undefined };
  const pace = new Pace(limits, clock.monotonicMs());
  return new Warmup({ plan, reader, gate, epoch: 'e1', shard, target, waits, pace, clock, observer });
}
const never = (): AbortSignal => new AbortController().signal;
const failing = (code: ConstructorParameters<typeof BusError>[0], sqlState?: string): WarmedKey => {
  const cause = sqlState === undefined ? undefined : Object.assign(new Error(sqlState), { code: sqlState });
  return { kind: 'failed', error: new BusError(code, 'no', cause === undefined ? {} : { cause }) };
};

test('loads the hottest first, and no more than the target’s share of reads needs', async () => {
  const plan = planOf([{ family: 'user', keys: zipfKeys('user:', 5000).toReversed() }]);
  const { keysToTarget, keys } = plan.summary(0.8);
  assert.equal(keys, 5000);
  const [reader, gate] = [new MemoryReader(), new MemoryWarmGate()];
  const warmup = warmupOf(plan, reader, gate, { target: 0.8 });
  assert.deepEqual(await warmup.run(never()), { kind: 'warm' });
  assert.equal(reader.asked[0], 'user:1');
  assert.ok(warmup.facts.share >= 0.8);
  // What is under way when the target is reached is some hundreds.
  assert.ok(
    reader.asked.length >= keysToTarget && reader.asked.length < keysToTarget + 500,
    String(reader.asked.length),
  );
  assert.equal(gate.state, 'WARM');
});

test('a family that this process cannot load is left out, of the keys and of the share', async () => {
  const plan = planOf([
    { family: 'own', keys: zipfKeys('own:', 50) },
    { family: 'gone', keys: zipfKeys('gone:', 5) },
    { family: 'user', keys: zipfKeys('user:', 20) },
    { family: 'post', keys: zipfKeys('post:', 20) },
  ]);
  const summary = plan.summary(0.95);
  assert.deepEqual(
    summary.families.map((one) => [one.family, one.keys]),
    [
      ['user', 20],
      ['post', 20],
    ],
  );
  assert.deepEqual(
    summary.leftOut.map((one) => [one.family, one.keys]),
    [
      ['own', 50],
      ['gone', 5],
    ],
  );
  const reader = new MemoryReader();
  assert.deepEqual(await warmupOf(plan, reader, undefined, { target: 0.9999 }).run(never()), { kind: 'warm' });
  assert.equal(reader.asked.filter((key) => !/^(user|post):/.test(key)).length, 0);
});

test('keys of a former template are nobody’s: they are left out, however hot they were, and it is said', async () => {
  const renamed = family('user', 'user:v2:{id}', [rule('users', 'id')], { source: 'select 1 where {id} > 0' });
  const plan = new WarmupPlan([renamed], () => true, WHOLE);
  plan.add({ family: 'user', keys: [...zipfKeys('user:', 150), ...zipfKeys('user:v2:', 500, 20)] });
  plan.sort();
  const { families, formerKeys, keys } = plan.summary(0.95);
  assert.deepEqual(
    [families, formerKeys].map((list) => list.map((one) => [one.family, one.keys])),
    [[['user', 500]], [['user', 150]]],
  );
  assert.deepEqual([keys, plan.published], [500, 500]);
  const region = new MemoryReader();
  const reader = new FamilyReader(() => ({
    paramsOf: parserOf(renamed.key),
    family: {
      warm: (list) =>
        region.warm(
          'user',
          list.map(({ id }) => `user:v2:${id}`),
        ),
    },
  }));
  assert.deepEqual(await warmupOf(plan, reader, undefined, { target: 0.9999 }).run(never()), { kind: 'warm' });
  assert.equal(region.stored.size, 500);
  const former = new WarmupPlan([renamed], () => true, WHOLE);
  former.add({ family: 'user', keys: zipfKeys('user:', 150) });
  assert.equal(former.published, 0, 'as where nothing is published');
});

test('shards have every key once together, each about as many, and the last one to arrive makes the region warm', async () => {
  const gate = new MemoryWarmGate();
  const readers: MemoryReader[] = [];
  for (const shard of [0, 1, 2]) {
    const reader = new MemoryReader();
    readers.push(reader);
    const plan = planOf([{ family: 'user', keys: zipfKeys('user:', 3000) }], { shard, of: 3 });
    assert.ok(plan.keys > 800 && plan.keys < 1200);
    assert.equal(gate.state === 'WARM', false);
    await warmupOf(plan, reader, gate, { target: 0.9999, shard: { shard, of: 3 } }).run(never());
  }
  assert.equal(gate.state, 'WARM');
  const all = readers.flatMap(({ asked }) => asked);
  assert.deepEqual([new Set(all).size === all.length, all.length > 2900], [true, true]);
});

test('a shard that has none of the keys is at its target at once', async () => {
  const gate = new MemoryWarmGate();
  const keys = zipfKeys('user:', 1);
  const plans = [0, 1].map((shard) => planOf([{ family: 'user', keys }], { shard, of: 2 }));
  const empty = plans.find((plan) => plan.keys === 0) ?? assert.fail();
  assert.equal(empty.published, 1);
  assert.deepEqual(await warmupOf(empty, new MemoryReader(), gate).run(never()), { kind: 'warm' });
});

test('keys that nobody reads, or that nobody here can load, say nothing of what is read', () => {
  const idle = zipfKeys('user:', 5).map((key) => ({ ...key, readsPerSecond: 0 }));
  const plan = planOf([
    { family: 'user', keys: idle },
    { family: 'own', keys: zipfKeys('own:', 5) },
  ]);
  assert.deepEqual([plan.published, planOf([{ family: 'user', keys: zipfKeys('user:', 5) }]).published], [0, 5]);
});

test('a key that an eviction crossed is asked for once more, after the others', async () => {
  const reader = new MemoryReader();
  const crossed = new Set(['user:3', 'user:17']);
  reader.says = (key) => (crossed.delete(key) ? { kind: 'unstored', why: 'lease' } : undefined);
  const warmup = warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 300) }]), reader, undefined, {
    target: 0.9999,
  });
  assert.deepEqual(await warmup.run(never()), { kind: 'warm' });
  assert.equal(reader.asked.lastIndexOf('user:3') > 290, true);
});

test('what is crossed each time keeps the share below the target, and ends it short', async () => {
  const reader = new MemoryReader();
  reader.says = (key) => (key === 'user:1' ? { kind: 'unstored', why: 'lease' } : undefined);
  const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 100) }]), reader).run(never());
  assert.equal(end.kind, 'short');
  assert.equal(reader.asked.filter((key) => key === 'user:1').length, 3);
});

test('what the cache keeps nothing of, and what cannot be read, does not count for the share', async () => {
  const reader = new MemoryReader();
  reader.says = (key) => {
    if (key === 'user:1') return { kind: 'unstored', why: 'absence' };
    return key === 'user:2' ? failing('POSTGRES_QUERY_FAILED', '22012') : undefined;
  };
  const warmup = warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 100) }]), reader, undefined, {
    target: 0.9999,
  });
  assert.deepEqual(await warmup.run(never()), { kind: 'warm' });
  const { none, failed, loaded } = warmup.facts;
  assert.deepEqual({ none, failed, loaded }, { none: 1, failed: 1, loaded: 98 });
});

test('timeouts and refusals of the database are asked again, until they are answered', async () => {
  for (const error of [
    failing('POSTGRES_TIMEOUT', '57014'),
    failing('POSTGRES_UNREACHABLE', '53300'),
    failing('CACHE_LOAD_TIMEOUT'),
  ]) {
    const reader = new MemoryReader();
    let left = 60;
    reader.says = () => (left-- > 0 ? error : undefined);
    const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 100) }]), reader).run(never());
    assert.deepEqual(end, { kind: 'warm' });
  }
});

test('a key whose load always takes too long takes none of the others along', async () => {
  const reader = new MemoryReader();
  const warm = reader.warm.bind(reader);
  const slow: Reader = {
    warm: async (family, keys) => {
      const answer = await warm(family, keys.includes('user:40') ? [] : keys);
      return keys.includes('user:40')
        ? { keys: keys.map(() => failing('POSTGRES_TIMEOUT', '57014')), loadMs: 1 }
        : answer;
    },
  };
  const keys = zipfKeys('user:', 1000);
  const warmup = warmupOf(planOf([{ family: 'user', keys }]), slow, undefined, { target: 0.9999 });
  assert.equal((await warmup.run(AbortSignal.timeout(60_000))).kind, 'short');
  const { loaded, notStored } = warmup.facts;
  assert.deepEqual({ loaded, notStored }, { loaded: 999, notStored: 1 });
});

test('what is asked for again is no larger than what is asked for just then', async () => {
  const reader = new MemoryReader();
  const sizes: number[] = [];
  let left = Number.POSITIVE_INFINITY;
  const away: Reader = {
    warm: async (family, keys) => {
      if (keys.length >= 100 && left > 3) left = 3;
      if (left < 3) sizes.push(keys.length);
      if (left > 3 || left-- <= 0) return reader.warm(family, keys);
      return { keys: keys.map(() => failing('POSTGRES_UNREACHABLE', '53300')), loadMs: 1 };
    },
  };
  const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 4000) }]), away, undefined, {
    target: 1,
  }).run(never());
  assert.equal(end.kind, 'warm');
  assert.ok((sizes[0] ?? 100) < 100, `after a refusal of a hundred: ${sizes.slice(0, 3).join(', ')}`);
});

test('an error of one key’s data is that key’s, whatever class Postgres or a function gives it', async () => {
  for (const sqlState of ['23514', 'XX001', 'AW001', '53400', '58P01']) {
    const reader = new MemoryReader();
    reader.says = (key) => (key === 'user:2' ? failing('POSTGRES_QUERY_FAILED', sqlState) : undefined);
    const warmup = warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 60) }]), reader, undefined, {
      target: 0.9999,
    });
    const end = await warmup.run(AbortSignal.timeout(10_000));
    assert.deepEqual([sqlState, end.kind, warmup.facts.failed], [sqlState, 'warm', 1]);
  }
});

test('a source that may not be run on a standby ends it', async () => {
  const reader = new MemoryReader();
  reader.says = () => failing('POSTGRES_QUERY_FAILED', '25006');
  const warmup = warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 60) }]), reader);
  assert.equal((await warmup.run(AbortSignal.timeout(10_000))).kind, 'never');
});

test('a wrong source ends it, and so does one of whose keys most cannot be read', async () => {
  const ends: WarmupEnd[] = [];
  for (const error of [
    failing('POSTGRES_QUERY_FAILED', '42703'),
    failing('POSTGRES_PERMISSION', '42501'),
    failing('SOURCE_ROWS_UNEXPECTED'),
  ]) {
    const reader = new MemoryReader();
    reader.says = () => error;
    ends.push(await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 1000) }]), reader).run(never()));
    assert.ok(reader.asked.length < 1000);
  }
  assert.deepEqual(
    ends.map(({ kind }) => kind),
    ['never', 'never', 'never'],
  );
});

test('a region that stores nothing is not loaded for: it is asked little, until it stores', async () => {
  const reader = new MemoryReader();
  let left = 75;
  reader.says = () => (left-- > 0 ? { kind: 'unstored', why: undefined } : undefined);
  const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 1000) }]), reader).run(never());
  assert.deepEqual(end, { kind: 'warm' });
  assert.deepEqual(new Set(reader.asked.slice(0, 75)).size, 25, 'the same keys, three times');
});

const bothFamilies = (): WarmupPlan =>
  planOf([
    { family: 'post', keys: zipfKeys('post:', 40).map((key) => ({ ...key, readsPerSecond: 5 })) },
    { family: 'user', keys: zipfKeys('user:', 3000).map((key) => ({ ...key, readsPerSecond: 4 })) },
  ]);
const rulesDiffer: WarmedKey = { kind: 'unstored', why: 'rules' };

test('a family of which nothing is stored keeps no other from being loaded, and is asked little', async () => {
  const reader = new MemoryReader();
  reader.says = (key) => (key.startsWith('post:') ? rulesDiffer : undefined);
  assert.deepEqual(await warmupOf(bothFamilies(), reader).run(AbortSignal.timeout(20_000)), { kind: 'warm' });
  assert.equal(reader.asked.filter((key) => key.startsWith('post:')).length, 25);
});

test('such a family is waited for, when all else is loaded; what it has is loaded once it is stored', async () => {
  const reader = new MemoryReader();
  let left = 75;
  reader.says = (key) => (key.startsWith('post:') && left-- > 0 ? rulesDiffer : undefined);
  const end = await warmupOf(bothFamilies(), reader, undefined, { target: 0.9999 }).run(AbortSignal.timeout(20_000));
  assert.deepEqual([end, reader.stored.size], [{ kind: 'warm' }, 3040]);
});

test('a region that comes to store again stores what was crossed, and was given up, before', async () => {
  const reader = new MemoryReader();
  let left = 100;
  reader.says = () => (left-- > 0 ? rulesDiffer : undefined);
  // Too few of a family to say that the region takes nothing of it.
  const plan = planOf([
    { family: 'user', keys: zipfKeys('user:', 60) },
    { family: 'post', keys: zipfKeys('post:', 5) },
  ]);
  assert.deepEqual(await warmupOf(plan, reader, undefined, { target: 0.9999 }).run(AbortSignal.timeout(20_000)), {
    kind: 'warm',
  });
});

test('a round of a shadow does not wait for it: the next one reads anew what is hot', async () => {
  const reader = new MemoryReader();
  reader.says = (key) => (key.startsWith('post:') ? rulesDiffer : undefined);
  const round = warmupOf(bothFamilies(), reader, undefined, { target: 0.9999, waits: false });
  assert.equal((await round.run(AbortSignal.timeout(20_000))).kind, 'short');
  assert.equal(reader.stored.size, 3000);
});

test('a gate that is another, before or meanwhile, ends it, and it tells that one nothing', async () => {
  const gate = new MemoryWarmGate();
  const reader = new MemoryReader();
  reader.says = (key) => {
    if (key !== 'user:50') return undefined;
    gate.move('e2');
    // It would go on for ever.
    reader.says = () => failing('POSTGRES_TIMEOUT');
    return undefined;
  };
  const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 100) }]), reader, gate, {
    target: 0.9999,
  }).run(never());
  assert.deepEqual([end.kind, gate.state], ['moved', 'COLD']);
  const again = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 9) }]), new MemoryReader(), gate).run(
    never(),
  );
  assert.deepEqual([again.kind, gate.state], ['moved', 'COLD']);
});

/** A failover takes the first mark back, after it was acknowledged. */
class PromotedGate extends MemoryWarmGate {
  readonly #lost = new Set<number>();

  override async warm(epoch: string, shard: Shard): Promise<'ok' | 'moved'> {
    if (this.#lost.has(shard.shard)) return super.warm(epoch, shard);
    this.#lost.add(shard.shard);
    return 'ok';
  }
}

test('a mark that a failover takes back is set again before the program ends', async () => {
  const [gate, gradual] = [new PromotedGate(), new PromotedGate()];
  for (const shard of [0, 1]) {
    const one = { shard, of: 2 };
    const plan = planOf([{ family: 'user', keys: zipfKeys('user:', 100) }], one);
    assert.deepEqual(await warmupOf(plan, new MemoryReader(), gate, { target: 0.9999, shard: one }).run(never()), {
      kind: 'warm',
    });
  }
  const parts = { gate: gradual, epoch: 'e1', shares: [0.5], stepMs: 10, clock: CLOCK };
  await openGradually({ ...parts, progress: () => undefined, hindered: () => undefined }, never());
  assert.deepEqual([gate.state, gradual.state], ['WARM', 'WARM']);
});

test('asked to stop it ends, with what is under way given up', async () => {
  const stop = new AbortController();
  const reader = new MemoryReader();
  reader.says = (key) => {
    if (key === 'user:60') stop.abort();
    return undefined;
  };
  const end = await warmupOf(planOf([{ family: 'user', keys: zipfKeys('user:', 100_000) }]), reader).run(stop.signal);
  assert.equal(end.kind, 'stopped');
  assert.ok(reader.asked.length < 1000);
});

test('gradual opens the gate step by step, and loads nothing', async () => {
  const [clock, gate, steps] = [new FakeClock(), new MemoryWarmGate(), [] as number[]];
  const running = openGradually(
    {
      gate,
      epoch: 'e1',
      shares: [0.5, 0.8],
      stepMs: 60_000,
      clock,
      progress: (share) => steps.push(share),
      hindered: () => undefined,
    },
    never(),
  );
  let isOver = false;
  void running.finally(() => (isOver = true));
  let waited = 0;
  while (!isOver) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await clock.advance(500);
    waited += 500;
    assert.equal(gate.state === 'WARM' && waited < 120_000, false);
  }
  assert.deepEqual([await running, steps, gate.state], [{ kind: 'warm' }, [0.5, 0.8], 'WARM']);
});

test('what is away at first is asked again until it answers, or until it is told to stop; what a person must mend is not', async () => {
  const clock = new FakeClock();
  const told: unknown[] = [];
  const backoff = { firstMs: 500, maxMs: 10_000 };
  const parts = { clock, random: () => 1, backoff, away: (error: unknown) => told.push(error) };
  const asking = (failures: number, code: ErrorCode) => {
    let asked = 0;
    return async () => {
      asked += 1;
      if (asked <= failures) throw new BusError(code, 'away');
      return asked;
    };
  };
  const ended = async <T>(running: Promise<T>): Promise<T> => {
    let isOver = false;
    void running.catch(() => undefined).finally(() => (isOver = true));
    while (!isOver) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      await clock.advance(1000);
    }
    return running;
  };
  assert.equal(await ended(untilAnswered(asking(20, 'REDIS_UNREACHABLE'), parts, never())), 21);
  assert.equal(await ended(untilAnswered(asking(3, 'KAFKA_SEND_FAILED'), parts, never())), 4);
  assert.equal(told.length, 23);
  await assert.rejects(ended(untilAnswered(asking(1, 'REDIS_DENIED'), parts, never())), { code: 'REDIS_DENIED' });
  const stop = new AbortController();
  const waiting = untilAnswered(asking(Number.POSITIVE_INFINITY, 'KAFKA_UNREACHABLE'), parts, stop.signal);
  await eventually('a try', () => told.length > 23);
  stop.abort();
  assert.equal(await ended(waiting), undefined);
});

test('shadow asks for what is published, round by round, until its time is over', async () => {
  const clock = new FakeClock();
  const hotKeys = new MemoryHotKeys();
  const reader = new MemoryReader();
  hotKeys.publish('us', { family: 'user', keys: zipfKeys('user:', 5) });
  let rounds = 0;
  const round = async (): Promise<WarmupEnd> => {
    rounds += 1;
    const plan = planOf([]);
    for await (const part of hotKeys.of('us')) plan.add(part);
    plan.sort();
    return warmupOf(plan, reader, undefined, { target: 0.9999, clock }).run(never());
  };
  const following = followShadow({ round, clock, forMs: SHADOW_ROUND_MS * 3 }, never());
  await eventually('a round', () => rounds === 1 && reader.stored.size === 5);
  hotKeys.publish('us', { family: 'user', keys: zipfKeys('user:', 9) });
  let isOver = false;
  void following.finally(() => (isOver = true));
  while (!isOver) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await clock.advance(1000);
  }
  assert.deepEqual(await following, { kind: 'stopped' });
  assert.ok(rounds >= 2 && reader.stored.has('user:9'));
});
