import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { CircuitBreaker } from '../../src/client/breaker.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { eventually } from '../support/eventually.ts';

const away = async (): Promise<never> => {
  throw new BusError('REDIS_UNREACHABLE', 'away');
};

test('Redis is tried again in time though the clock of the machine is set back meanwhile', async () => {
  const breaker = new CircuitBreaker({ breakerFailures: 1, breakerWaitMs: 20 }, () => undefined);
  await assert.rejects(breaker.run(away), { code: 'REDIS_UNREACHABLE' });
  await eventually('the breaker has opened', () => breaker.state === 'open');
  const hourAgo = Date.now() - 3_600_000;
  const now = mock.method(Date, 'now', () => hourAgo);
  try {
    await eventually('a command is tried', async () => breaker.run(async () => true).catch(() => false));
  } finally {
    now.mock.restore();
  }
  assert.equal(breaker.state, 'closed');
});

test('Redis is not tried before its time though the clock of the machine is set on meanwhile', async () => {
  const breaker = new CircuitBreaker({ breakerFailures: 1, breakerWaitMs: 3_600_000 }, () => undefined);
  await assert.rejects(breaker.run(away), { code: 'REDIS_UNREACHABLE' });
  await eventually('the breaker has opened', () => breaker.state === 'open');
  const tomorrow = Date.now() + 86_400_000;
  const now = mock.method(Date, 'now', () => tomorrow);
  try {
    await assert.rejects(
      breaker.run(async () => true),
      { code: 'REDIS_UNREACHABLE', message: /not asked/ },
    );
  } finally {
    now.mock.restore();
  }
});
