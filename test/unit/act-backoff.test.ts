import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActBackoff } from '../../src/controller/act-backoff.ts';
import { Attempts } from '../../src/controller/attempts.ts';
import { BusError, type ErrorCode } from '../../src/protocol/errors.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const REFUSED = new BusError('KUBERNETES_OBJECT_INVALID', 'no');
const self = (subject: string): string => subject;

test('what has failed is left alone by itself, twice as long each time, up to half a minute', () => {
  const backoff = new ActBackoff(() => 1);
  let nowMs = 0;
  const waitsMs: number[] = [];
  for (let i = 0; i < 8; i++) {
    backoff.failed('a', REFUSED, nowMs);
    assert.deepEqual(backoff.due(['a', 'b'], self, backoff.dueMs - 1), ['b']);
    waitsMs.push(backoff.dueMs - nowMs);
    nowMs = backoff.dueMs;
  }
  assert.deepEqual(waitsMs, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  backoff.passed('a');
  assert.equal(backoff.dueMs, Number.POSITIVE_INFINITY);
  assert.equal(backoff.failure, undefined);
});

test('what has failed comes after what has not, the longest untried first, and what there is no more to do is forgotten', () => {
  const backoff = new ActBackoff(() => 0);
  backoff.failed('b', REFUSED, 10);
  backoff.failed('a', REFUSED, 20);
  assert.deepEqual(backoff.due(['a', 'b', 'c', 'd'], self, 1000), ['c', 'd', 'b', 'a']);
  assert.equal(backoff.failure, REFUSED);
  backoff.due(['c'], self, 1000);
  assert.equal(backoff.failure, undefined);
});

/** Tries `items`, each of which fails by the code that it is named after, if it is one. */
async function attempt(
  items: readonly string[],
): Promise<{ tried: string[]; attempts: Attempts<string>; error: unknown }> {
  const attempts = new Attempts<string>({ clock: systemClock, random: () => 0.99 }, self);
  const tried: string[] = [];
  let error: unknown;
  try {
    await attempts.each(items, async (item) => {
      tried.push(item);
      const [code] = item.split(' ');
      if (code?.includes('_') === true) throw new BusError(code as ErrorCode, item);
    });
  } catch (thrown) {
    error = thrown;
  }
  return { tried, attempts, error };
}

test('refusals of single objects keep none from being tried; of those of the server, the second in a look does, till the next', async () => {
  const refused = ['KUBERNETES_DENIED 1', 'KUBERNETES_OBJECT_INVALID 2', 'KUBERNETES_DENIED 3', 'rest'];
  const all = await attempt(refused);
  assert.deepEqual(all.tried, refused);
  assert.ok(Number.isFinite(all.attempts.dueMs));
  const failed = ['KUBERNETES_FAILED 1', 'KUBERNETES_UNREACHABLE 2', 'rest'];
  const { tried, attempts, error } = await attempt(failed);
  assert.equal(error, undefined);
  assert.deepEqual(tried, failed.slice(0, 2));
  assert.equal(attempts.dueMs, Number.NEGATIVE_INFINITY, 'the rest is not made to wait');
  tried.length = 0;
  await attempts.each(failed, async (item) => void tried.push(item));
  assert.deepEqual(tried, ['rest']);
});

test('a server that asks to be left alone, and another leader, end a look', async () => {
  for (const code of ['KUBERNETES_OVERLOADED', 'LEADERSHIP_LOST'] as const) {
    const { tried, error } = await attempt([code, 'rest']);
    assert.deepEqual(tried, [code]);
    assert.equal((error as BusError).code, code);
  }
});
