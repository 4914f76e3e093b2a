import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BusError } from '../../src/protocol/errors.ts';
import { redactUrls } from '../../src/protocol/redact.ts';
import { backoffMs } from '../../src/runtime/backoff.ts';
import { Health, notReady, READY } from '../../src/runtime/health.ts';
import { serveHealth } from '../../src/runtime/http.ts';
import { errorFields } from '../../src/runtime/logger.ts';
import { Metrics } from '../../src/runtime/metrics.ts';
import { readSettings } from '../../src/runtime/settings.ts';
import { Wake } from '../../src/runtime/wake.ts';

test('a wait of the back-off stays within a limit that doubles up to its maximum', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, chance) => {
      const ms = backoffMs(failures, { firstMs: 100, maxMs: 5000 }, () => chance);
      assert.ok(ms >= 1 && ms <= Math.min(5000, 100 * 2 ** Math.min(failures, 30)));
    }),
  );
});

test('a notice that comes while nobody waits is kept', async () => {
  const wake = new Wake();
  wake.notify();
  await wake.wait(600_000, new AbortController().signal);
});

test('a wait ends at abort and at its timeout', async () => {
  const wake = new Wake();
  await wake.wait(1, new AbortController().signal);
  const stop = new AbortController();
  const waiting = wake.wait(600_000, stop.signal);
  stop.abort();
  await waiting;
});

test('every wrong setting is named at once, with what would be right', () => {
  const env = { AFTERWRITE_HTTP_PORT: 'many', AFTERWRITE_LOG_LEVEL: 'loud' };
  assert.throws(
    () => readSettings(env),
    (error: unknown) => {
      assert.ok(error instanceof BusError && error.code === 'SETTING_INVALID');
      assert.match(
        error.message,
        /AFTERWRITE_HTTP_PORT: [^\n]*Port of \/livez[^\n]*\nAFTERWRITE_LOG_LEVEL: [^\n]*debug, info, warn, error/,
      );
      return true;
    },
  );
  assert.deepEqual(readSettings({}), {
    httpHost: '127.0.0.1',
    httpPort: 9464,
    logLevel: 'info',
    drainTimeoutMs: 10_000,
  });
});

test('health, readiness and metrics are served, and readiness goes when the process drains', async () => {
  const health = new Health();
  const metrics = new Metrics();
  let isReady = false;
  health.register('redis', () => (isReady ? READY : notReady('not connected')));
  metrics.add('afterwrite_relay_transactions_total', 3);
  const server = await serveHealth({ host: '127.0.0.1', port: 0 }, health, metrics);
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`);
  try {
    assert.equal((await get('/livez')).status, 200);
    const before = await get('/readyz');
    assert.equal(before.status, 503);
    assert.deepEqual(await before.json(), { ready: false, checks: { redis: { ready: false, why: 'not connected' } } });
    isReady = true;
    assert.equal((await get('/readyz')).status, 200);
    assert.match(await (await get('/metrics')).text(), /^afterwrite_relay_transactions_total 3$/m);
    health.drain();
    assert.equal((await get('/readyz')).status, 503);
    const taken = serveHealth({ host: '127.0.0.1', port: server.port }, health, metrics);
    await assert.rejects(taken, { code: 'HTTP_PORT_IN_USE' });
  } finally {
    await server.close();
  }
});

test('no password of a URL gets into a log line', () => {
  assert.equal(
    redactUrls('redis://:s3cret@h:1/0 and postgres://app:p%40ss@db/shop'),
    'redis://:***@h:1/0 and postgres://app:***@db/shop',
  );
  const fields = errorFields(
    new BusError('SETTING_INVALID', 'postgres://app:secret@db', { cause: new Error('redis://u:secret@h') }),
  );
  assert.doesNotMatch(JSON.stringify(fields), /secret/);
});

test('no password gets into a log line by a place, a stack or a field', () => {
  const url = 'redis://app:s3cret@eu';
  const failure = new BusError('REDIS_DENIED', 'refused', { at: url, cause: new Error(url) });
  assert.doesNotMatch(JSON.stringify([errorFields(failure), errorFields(new TypeError(url))]), /s3cret/);
});

test('an address that is not of this machine is a wrong setting, by its name', async () => {
  await assert.rejects(serveHealth({ host: '192.0.2.1', port: 0 }, new Health(), new Metrics()), {
    code: 'SETTING_INVALID',
    message: /^AFTERWRITE_HTTP_HOST: /,
  });
});
