import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLE, expectConfig, parseExample, parseFamilies } from '../support/config-text.ts';

test('a rule hash changes with what decides, and with nothing else', () => {
  const hash = (text: string): string | undefined => expectConfig(parseExample(text)).families.get('user')?.ruleHash;
  const first = hash(EXAMPLE);
  assert.match(first ?? '', /^[0-9a-f]{16}$/);
  const user = EXAMPLE.slice(EXAMPLE.indexOf('  user:'), EXAMPLE.indexOf('  # A list. '));
  const changed = (from: string, to: string): string => {
    assert.ok(user.includes(from) || EXAMPLE.includes(from));
    return user.includes(from) ? EXAMPLE.replace(user, user.replace(from, to)) : EXAMPLE.replace(from, to);
  };
  for (const [from, to] of [
    ['ttl: 5m', 'ttl: 6m'],
    ['source: select id, name, email', 'when-changed: expire\n    source: select id, name, email'],
    ['"product:{id}": {', '"goods:{id}": {'],
    ['eu: {', 'europe: {'],
    ['tags: ["org', 'stale: 1m\n    local: 5s\n    too-stale: serve\n    tags: ["org'],
  ] as const)
    assert.equal(hash(changed(from, to)), first, to);
  for (const [from, to] of [
    ['"user:{id}"', '"u:{id}"'],
    ['{ users: { id: id } }', '{ people: { id: id } }'],
    ['{ users: { id: id } }', '{ users: { user_id: id } }'],
    ['select id, name, email', 'select id, name, phone'],
    ['"org:{org_id}"]', '"o:{org_id}"]'],
    ['tags: ["org', 'reads: replica\n    tags: ["org'],
    ['{ orgs: { id: id } }', '{ orgs: { org_id: id } }'],
    ['bus: shop', 'bus: mall'],
    ['tags: ["org', 'rows: many\n    tags: ["org'],
    ['tags: ["org', 'values: plain\n    tags: ["org'],
    ['tags: ["org', 'stale: 1m\n    when-changed: expire\n    tags: ["org'],
  ] as const)
    assert.notEqual(hash(changed(from, to)), first, to);
});

test('a rule hash does not depend on the order in which rules and labels are listed', () => {
  const hash = (on: string, tags: string): string | undefined => {
    const families = `families: { f: { key: "f:{id}", ttl: 1m, on: { ${on} }, tags: [${tags}] } }`;
    return expectConfig(parseFamilies(families)).families.get('f')?.ruleHash;
  };
  assert.equal(
    hash('Ä: { id: id }, b: { id: id }', '"a:{x}", "B:{x}"'),
    hash('b: { id: id }, Ä: { id: id }', '"B:{x}", "a:{x}"'),
  );
});
