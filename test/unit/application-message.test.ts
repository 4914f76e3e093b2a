import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyType } from '../../src/protocol/key-parameter.ts';
import { readApplicationMessage } from '../../src/relay/application-message.ts';
import { busConfig, ORG_MEMBERS, USER } from '../support/bus-config.ts';

const CONFIG = busConfig([USER, ORG_MEMBERS]);
const TYPES = new Map<string, readonly KeyType[]>([['user', ['integer']]]);
const read = (message: unknown): ReturnType<typeof readApplicationMessage> =>
  readApplicationMessage(typeof message === 'string' ? message : JSON.stringify(message), CONFIG, TYPES);

test('a message invalidates keys, families, tags and tables', () => {
  const meaning = read({
    keys: [{ family: 'user', params: { id: 42 } }],
    families: ['org-members'],
    tags: ['org:7'],
    tables: ['public.users'],
  });
  assert.deepEqual(meaning.items, [
    { scope: 'key', family: 'user', act: 'evict', key: 'user:42' },
    { scope: 'family', family: 'org-members', act: 'evict' },
    { scope: 'tag', tag: 'org:7' },
  ]);
  assert.deepEqual(meaning.tables, ['public.users']);
  assert.deepEqual(meaning.faults, []);
});

test('a key that cannot be printed widens to its family', () => {
  for (const params of [{ id: 'x' }, {}, undefined]) {
    const meaning = read({ keys: [{ family: 'user', params }] });
    assert.deepEqual(meaning.items, [{ scope: 'family', family: 'user', act: 'evict' }]);
    assert.equal(meaning.everything, false);
    assert.equal(meaning.faults.length, 1);
  }
});

test('what cannot be understood at all makes everything old, and is never skipped', () => {
  for (const message of [
    '{',
    '7',
    'null',
    '[]',
    { keys: 7 },
    { key: [] },
    { families: ['nobody'] },
    { families: [7] },
    { tags: [7] },
    { tags: ['x'.repeat(1025)] },
    { tables: [{}] },
    { keys: [7] },
    { bus: 7, families: ['user'] },
  ]) {
    const meaning = read(message);
    assert.equal(meaning.everything, true, JSON.stringify(message));
    assert.equal(meaning.faults.length, 1);
  }
});

test('a message that names its bus says nothing to the others on the same database, whatever it asks for', () => {
  const families = ['user'];
  assert.equal(read({ bus: CONFIG.bus, families }).items.length, 1);
  for (const more of [{ families }, { families: ['nobody'] }, { keys: 7 }, { tables: ['public.users'] }]) {
    const { items, tables, faults, everything } = read({ bus: 'another', ...more });
    assert.deepEqual({ items, tables, faults, everything }, { items: [], tables: [], faults: [], everything: false });
  }
});
