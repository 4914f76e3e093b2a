import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, type ReadOutcome } from '../../src/client/endpoint-answer.ts';
import { type PolicyOptions, readPolicy } from '../../src/client/endpoint-policy.ts';
import { entityTagOf } from '../../src/client/entity-tag.ts';
import { failureAnswer } from '../../src/client/problem.ts';
import { BusError, type ErrorCode, ERRORS, isBusError } from '../../src/protocol/errors.ts';
import type { RequestHeaders } from '../../src/client/request-demand.ts';

const BODY = Buffer.from('{"v":1}');
const TAG = entityTagOf(BODY);
const HOUR_MS = 3_600_000;
const valueOf = (ageMs?: number, leftMs = HOUR_MS): ReadOutcome => ({
  kind: 'value',
  age: { ageMs, leftMs },
  representation: { body: BODY, entityTag: TAG },
});
const absenceOf = (ageMs: number, leftMs = HOUR_MS): ReadOutcome => ({ kind: 'absence', age: { ageMs, leftMs } });
const policyOf = (options: Partial<PolicyOptions> = {}, familyStaleMs = 0) =>
  readPolicy({ fresh: '30s', ...options }, familyStaleMs);
const answer = (
  outcome: ReadOutcome,
  options: Partial<PolicyOptions> = {},
  headers: RequestHeaders = {},
  familyStaleMs = 0,
) => answerTo(headers, outcome, policyOf(options, familyStaleMs));

/** What a cache may do with an answer from this moment on, by RFC 9111, 4.2, and RFC 5861. */
function allowed({ headers }: ReturnType<typeof answer>) {
  const control = headers['cache-control'] ?? '';
  const of = (name: string): number => Number(new RegExp(`(?:^|, )${name}=(\\d+)`).exec(control)?.[1] ?? 0);
  return { freshS: of('max-age') - Number(headers['age'] ?? 0), staleS: of('stale-while-revalidate') };
}

test('a value is answered with what a cache may do with it, how old it is, and its tag', () => {
  assert.deepEqual(answer(valueOf(0)), {
    status: 200,
    headers: {
      'cache-control': 'public, max-age=30',
      age: '0',
      etag: TAG,
      'content-type': 'application/json; charset=utf-8',
      'content-length': '7',
    },
    body: BODY,
  });
});

test('a value that has stood in Redis for longer than fresh is fresh from now on: max-age counts from its Age', () => {
  const { headers } = answer(valueOf(100_900));
  assert.deepEqual([headers['age'], headers['cache-control']], ['100', 'public, max-age=130']);
  const unknown = answer(valueOf()).headers;
  assert.deepEqual([unknown['age'], unknown['cache-control']], [undefined, 'public, max-age=30']);
  const silent = answer(valueOf(100_900), { age: false }).headers;
  assert.deepEqual([silent['age'], silent['cache-control']], [undefined, 'public, max-age=30']);
});

test('no answer is fresh for longer than the value has left, nor stale for longer than its bound has', () => {
  assert.deepEqual(allowed(answer(valueOf(7000, 12_999))), { freshS: 12, staleS: 0 });
  assert.deepEqual(allowed(answer(valueOf(7000, 12_999), { stale: '1m' })), { freshS: 12, staleS: 60 });
  assert.deepEqual(allowed(answer(valueOf(7000, -20_000), { stale: '1m' })), { freshS: 0, staleS: 40 });
  assert.deepEqual(allowed(answer(valueOf(7000, -20_000))), { freshS: 0, staleS: 0 });
});

test('stale-while-revalidate is the family’s stale bound, unless the route names its own', () => {
  assert.equal(
    answer(valueOf(), {}, {}, 600_000).headers['cache-control'],
    'public, max-age=30, stale-while-revalidate=600',
  );
  assert.equal(
    answer(valueOf(), { stale: 5 }, {}, 600_000).headers['cache-control'],
    'public, max-age=30, stale-while-revalidate=5',
  );
  assert.equal(answer(valueOf(), { stale: 0 }, {}, 600_000).headers['cache-control'], 'public, max-age=30');
});

test('what is never fresh is asked for at each use', () => {
  assert.equal(answer(valueOf(5000), { fresh: 0 }, {}, 600_000).headers['cache-control'], 'public, no-cache');
});

test('an absence is a 404 that may be kept for a shorter time, and has no tag', () => {
  const { status, headers, body } = answer(absenceOf(0), {}, { 'if-none-match': '*', 'if-match': '"x"' }, 600_000);
  assert.deepEqual([status, headers['cache-control'], headers['etag']], [404, 'public, max-age=3', undefined]);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.deepEqual(JSON.parse(String(body)), { type: 'about:blank', title: 'Not Found', status: 404 });
  assert.equal(answer(absenceOf(2000), { absent: '10s' }).headers['cache-control'], 'public, max-age=12');
  assert.equal(answer(absenceOf(2000, 4000), { absent: '10s' }).headers['cache-control'], 'public, max-age=6');
  assert.equal(answer(absenceOf(0), { fresh: '1d' }).headers['cache-control'], 'public, max-age=60');
});

for (const [name, headers, status] of [
  ['no condition', {}, 200],
  ['what the client has', { 'if-none-match': TAG }, 304],
  ['weakly', { 'if-none-match': `W/${TAG}` }, 304],
  ['among others', { 'if-none-match': `"a,b", W/"x" ,, ${TAG}` }, 304],
  ['in several lines', { 'if-none-match': ['"x"', TAG] }, 304],
  ['anything', { 'if-none-match': ' * ' }, 304],
  ['another', { 'if-none-match': '"x"' }, 200],
  ['without quotation marks', { 'if-none-match': TAG.slice(1, -1) }, 200],
  ['what is no list', { 'if-none-match': `${TAG} "x"` }, 200],
  ['nothing', { 'if-none-match': '' }, 200],
  ['if-match of it', { 'if-match': `"x", ${TAG}` }, 200],
  ['if-match of anything', { 'if-match': '*' }, 200],
  ['if-match weakly', { 'if-match': `W/${TAG}` }, 412],
  ['if-match of another, before if-none-match', { 'if-match': '"x"', 'if-none-match': TAG }, 412],
  ['if-match of it, then if-none-match', { 'if-match': TAG, 'if-none-match': TAG }, 304],
] as const)
  test(`a condition: ${name} is ${status}`, () => {
    assert.equal(answer(valueOf(), {}, headers).status, status);
  });

test('a 304 says what the 200 would have said of the answer, and brings no body', () => {
  const options = { vary: ['accept-language', 'Cookie'], private: true };
  const whole = answer(valueOf(4000), options).headers;
  const { headers, body } = answer(valueOf(4000), options, { 'if-none-match': '*' });
  for (const name of ['cache-control', 'age', 'etag', 'vary']) assert.equal(headers[name], whole[name]);
  assert.deepEqual([headers['vary'], headers['cache-control']], ['accept-language, Cookie', 'private, max-age=34']);
  assert.deepEqual([body, headers['content-length'], headers['content-type']], [undefined, undefined, undefined]);
});

test('what is answered to a request with Authorization is the client’s own, unless the route says otherwise', () => {
  const authorized = { authorization: 'Bearer x' };
  const control = (options: Partial<PolicyOptions>, headers: RequestHeaders, outcome = valueOf()) =>
    answer(outcome, options, headers).headers['cache-control']?.split(',')[0];
  assert.deepEqual(
    [control({}, {}), control({}, authorized), control({}, authorized, absenceOf(0))],
    ['public', 'private', 'private'],
  );
  assert.deepEqual([control({ private: false }, authorized), control({ private: true }, {})], ['public', 'private']);
});

test('what is not held is a 504 that nobody keeps', () => {
  const { status, headers } = answer({ kind: 'not held' });
  assert.deepEqual([status, headers['cache-control']], [504, 'no-store']);
});

test('each failure is told by its code, in the table’s own words; misuse, and what is not ours, is passed on', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const told = failureAnswer(new BusError(code, 'redis.internal:6379 says no'));
    const { retry, summary } = ERRORS[code];
    const isOfClient = code === 'KEY_PARAMETER_INVALID' || code === 'CACHE_KEY_TOO_LONG';
    const passes = retry === 'retry' || retry === 'reset' || code === 'CACHE_CLOSED';
    if (!isOfClient && !passes && retry === 'never') {
      assert.equal(told, undefined, code);
      continue;
    }
    const status = isOfClient ? 400 : 503;
    assert.ok(told !== undefined, code);
    assert.deepEqual([told.status, told.headers['cache-control']], [status, 'no-store'], code);
    assert.equal(told.headers['retry-after'], passes ? '1' : undefined, code);
    const problem = JSON.parse(String(told.body)) as Record<string, unknown>;
    assert.deepEqual([problem['code'], problem['status']], [code, status]);
    assert.equal(problem['detail'], isOfClient ? 'redis.internal:6379 says no' : summary);
  }
  assert.equal(failureAnswer(new Error('the loader’s')), undefined);
  assert.equal(failureAnswer('thrown'), undefined);
});

test('an option that cannot be is refused by its name, as the route is made', () => {
  for (const [name, options] of [
    ['fresh', { fresh: -1 }],
    ['fresh', { fresh: Number.NaN }],
    ['fresh', { fresh: '30' }],
    ['fresh', { fresh: undefined as never }],
    ['stale', { stale: '5 m' }],
    ['absent', { absent: '11y' }],
    ['maxStaleness', { maxStaleness: Number.POSITIVE_INFINITY }],
    ['vary', { vary: ['x y'] }],
    ['type', { type: 'text/html\r\nx: y' }],
  ] as const)
    assert.throws(
      () => policyOf(options),
      (error) => isBusError(error, 'CACHE_OPTION_INVALID') && error.message.includes(name),
      name,
    );
});

test('a time is seconds, or a text with its unit', () => {
  for (const [given, ms] of [
    [1.5, 1500],
    ['250ms', 250],
    ['2m', 120_000],
    ['0', 0],
    [0, 0],
  ] as const)
    assert.equal(policyOf({ fresh: given }).freshMs, ms);
});
