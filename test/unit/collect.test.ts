import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { Invalidation } from '../../src/protocol/invalidation.ts';
import { TransactionCollector } from '../../src/relay/collect.ts';

const key = (n: number): Invalidation => ({ scope: 'key', family: 'user', act: 'evict', key: `user:${n}` });
const FAMILY: Invalidation = { scope: 'family', family: 'user', act: 'evict' };

function collect(keysMax: number, transactions: readonly (readonly Invalidation[])[]): Invalidation[] {
  const items: Invalidation[] = [];
  const collector = new TransactionCollector(keysMax, (item) => items.push(item));
  for (const transaction of transactions) {
    collector.begin();
    for (const item of transaction) collector.add(item);
  }
  return items;
}

test('duplicates within a transaction collapse, and across transactions they do not', () => {
  const tag: Invalidation = { scope: 'tag', tag: 'org:7' };
  assert.deepEqual(collect(10, [[key(1), tag, key(1), tag], [key(1)]]), [key(1), tag, key(1)]);
});

test('more keys of a family than the limit become one invalidation of the family', () => {
  assert.deepEqual(collect(2, [[key(1), key(2), key(1), key(3), key(4), FAMILY]]), [key(1), key(2), FAMILY]);
  assert.deepEqual(collect(2, [[key(1), key(2), key(3)], [key(4)]]), [key(1), key(2), FAMILY, key(4)]);
});

test('a family that was invalidated covers its later keys', () => {
  assert.deepEqual(collect(10, [[FAMILY, key(1), FAMILY]]), [FAMILY]);
});

test('what is remembered of a transaction is bounded, however many keys it may send', () => {
  // A heap that cannot hold the keys of the transaction, let alone a set of them.
  const program = `
    import { TransactionCollector } from ${JSON.stringify(new URL('../../src/relay/collect.ts', import.meta.url).href)};
    let sent = 0;
    const collector = new TransactionCollector(3_000_000, (item) => (sent += item.scope === 'key' ? 1 : 0));
    collector.begin();
    for (let n = 0; n < 2_000_000; n++) collector.add({ scope: 'key', family: 'user', act: 'evict', key: 'user:' + n });
    if (sent !== 2_000_000) throw new Error(sent + ' were sent');`;
  const node = ['--max-old-space-size=48', '--input-type=module', '--eval', program];
  const { status, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8' });
  assert.equal(status, 0, stderr.slice(-500));
});
