import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiException } from '@kubernetes/client-node';
import { kubernetesError } from '../../src/drivers/kubernetes/error.ts';

test('a failure of the API server is told by its reason, then by its status, and never by its words', () => {
  const rows: [number, object, string][] = [
    [409, { reason: 'Conflict' }, 'KUBERNETES_CONFLICT'],
    [409, { reason: 'AlreadyExists' }, 'KUBERNETES_CONFLICT'],
    [410, { reason: 'Expired' }, 'KUBERNETES_HISTORY_GONE'],
    [429, {}, 'KUBERNETES_OVERLOADED'],
    [500, {}, 'KUBERNETES_FAILED'],
    [500, { reason: 'ServerTimeout' }, 'KUBERNETES_OVERLOADED'],
    [502, {}, 'KUBERNETES_FAILED'],
    [503, {}, 'KUBERNETES_OVERLOADED'],
    [401, { reason: 'Unauthorized' }, 'KUBERNETES_DENIED'],
    [403, { reason: 'Forbidden' }, 'KUBERNETES_DENIED'],
    [404, { reason: 'NotFound' }, 'KUBERNETES_OBJECT_MISSING'],
    [422, { reason: 'Invalid' }, 'KUBERNETES_OBJECT_INVALID'],
    [400, {}, 'KUBERNETES_OBJECT_INVALID'],
  ];
  for (const [status, body, code] of rows) {
    const told = { ...body, message: 'conflict, forbidden, gone' };
    assert.equal(kubernetesError(new ApiException(status, '', told, {}), 'a call').code, code, String(status));
    assert.equal(kubernetesError(new ApiException(status, '', JSON.stringify(told), {}), 'a call').code, code);
  }
  assert.equal(kubernetesError(new ApiException(502, '', '<html>', {}), 'a call').code, 'KUBERNETES_FAILED');
  assert.equal(kubernetesError(new TypeError('fetch failed'), 'a call').code, 'KUBERNETES_UNREACHABLE');
});

test('how long to wait is read from the header or from the status, and an hour is not believed', () => {
  const wait = (body: object, headers: Record<string, string>): number | undefined =>
    kubernetesError(new ApiException(429, '', body, headers), 'a call').retryAfterMs;
  assert.equal(wait({}, { 'retry-after': '3' }), 3000);
  assert.equal(wait({ details: { retryAfterSeconds: 2 } }, {}), 2000);
  assert.equal(wait({}, {}), undefined);
  assert.equal(wait({}, { 'retry-after': '3600' }), 120_000);
});
