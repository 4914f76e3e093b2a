import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectConfig, faultsOf, parseFamilies } from '../support/config-text.ts';

const FAMILY = 'families: { user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } } }\n';

function parse(buffer: string) {
  return parseFamilies(`${FAMILY}buffers:\n  views: { redis: redis://b, ${buffer} }\n`);
}

test('a counter needs four lines, and the rest has defaults', () => {
  const { buffers } = expectConfig(parse('kind: counter, table: views, key: [id], loss: { process: 50ms, redis: 2s }'));
  assert.deepEqual(buffers.get('views'), {
    name: 'views',
    redis: 'redis://b',
    kind: 'counter',
    key: ['id'],
    columns: [],
    target: { kind: 'table', table: { schema: 'public', name: 'views' }, column: 'count', makesRows: true },
    windowMs: 25,
    flushEveryMs: 1000,
    loss: { processMs: 50, redisMs: 2000, diskMs: 10_000 },
    whenFull: 'block',
    entriesMax: 1_000_000,
    bytesMax: 268_435_456,
    partitions: 8,
  });
});

test('a buffer without a named loss is refused, and no default is put in its place', () => {
  assert.match(faultsOf(parse('kind: counter, table: views, key: [id]')).join('\n'), /what may be lost is expected/);
  assert.match(
    faultsOf(parse('kind: counter, table: views, key: [id], loss: { process: 50ms }')).join('\n'),
    /loss\.redis: what a Redis that crashes may lose is expected/,
  );
  const { buffers } = expectConfig(parse('kind: counter, table: v, key: [id], loss: { process: 1s, redis: none }'));
  assert.deepEqual(buffers.get('views')?.loss, { processMs: 1000, redisMs: 0, diskMs: 10_000 });
  assert.equal(buffers.get('views')?.windowMs, 50);
});

test('a window that is longer than the loss of a process is refused', () => {
  const faults = faultsOf(
    parse('kind: counter, table: views, key: [id], window: 80ms, loss: { process: 50ms, redis: none }'),
  );
  assert.match(faults.join('\n'), /window: gathers calls for 80 ms, and a process may lose 50 ms of them/);
});

test('a buffer writes to a table or by a statement, and what belongs to the other is a fault', () => {
  const loss = 'loss: { process: 50ms, redis: none }';
  assert.match(faultsOf(parse(`kind: counter, key: [id], ${loss}`)).join(), /exactly one of table and statement/);
  assert.match(
    faultsOf(parse(`kind: counter, key: [id], rows: make, statement: select 1, ${loss}`)).join(),
    /belongs to a table/,
  );
  assert.match(faultsOf(parse(`kind: buffer, key: [id], table: t, ${loss}`)).join(), /columns of a row are expected/);
  assert.match(faultsOf(parse(`kind: buffer, key: [id], columns: [id], table: t, ${loss}`)).join(), /names id twice/);
  const made = expectConfig(parse(`kind: counter, key: [id], statement: "insert into t select * from batch", ${loss}`));
  assert.equal(made.buffers.get('views')?.target.kind, 'statement');
});
