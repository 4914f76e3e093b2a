import assert from 'node:assert/strict';
import test from 'node:test';
import { floorOf } from '../../bench/peers/floor.ts';
import { median } from '../../bench/peers/median.ts';
import { commandOf } from '../../bench/peers/monitor-line.ts';

test('counts a script as the one command that was sent', () => {
  assert.equal(commandOf('1732651200.112233 [0 127.0.0.1:50112] "evalsha" "5b8e" "1" "key"'), 'evalsha');
  assert.equal(commandOf('1732651200.112240 [0 lua] "SET" "key" "value"'), undefined);
});

test('does not count what is sent by clients that are no part of the application', () => {
  const line = '1732651200.112233 [0 127.0.0.1:50112] "evalsha" "5b8e" "1" "key"';
  assert.equal(commandOf(line, new Set(['127.0.0.1:50112'])), undefined);
  assert.equal(commandOf(line, new Set(['127.0.0.1:50113'])), 'evalsha');
});

test('does not count what a client sends to set itself up', () => {
  for (const command of ['HELLO', 'client', 'info', 'subscribe', 'monitor'])
    assert.equal(commandOf(`1732651200.112233 [0 127.0.0.1:50112] "${command}" "3"`), undefined);
});

test('counts the first command after a reply of OK, in whatever case it was sent', () => {
  assert.equal(commandOf('+1732651200.112233 [0 127.0.0.1:50112] "GET" "a \\"quoted\\" key"'), 'get');
  assert.equal(commandOf('OK'), undefined);
});

test('takes the median of the middle figures', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([9, 1, 5, 7]), 6);
  assert.throws(() => median([]));
});

test('gives no floor where none was measured', () => {
  assert.deepEqual(floorOf([{}, { cpu: { failed: 'no redis-server' } }]), {
    lruCacheUs: null,
    lruCacheAwaitedUs: null,
    ioredisGetUs: null,
  });
  assert.equal(
    floorOf([{ cpu: { local: { lruCacheUs: 2 } } }, { cpu: { local: { lruCacheUs: 4 } } }])['lruCacheUs'],
    3,
  );
});
