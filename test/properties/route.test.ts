import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Invalidation } from '../../src/protocol/invalidation.ts';
import type { OldImage, RowImage, StreamRelation } from '../../src/relay/from-postgres.ts';
import { Router } from '../../src/relay/route.ts';
import { busConfig, ORG_MEMBERS, ORG_TAG, USER } from '../support/bus-config.ts';

/** A users row: (id, org_id, name), where org_id may be null. */
interface User {
  readonly id: number;
  readonly org: number | null;
}
type Change = { readonly old: User; readonly new: User } | { readonly old: User } | { readonly new: User };

const user = fc.record({ id: fc.nat(9), org: fc.option(fc.nat(3)) });
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ old: user, new: user }),
  fc.record({ old: user }),
  fc.record({ new: user }),
);

type Identity = 'default' | 'full';
type Route = (router: Router, relation: StreamRelation, old: RowImage | null, image: OldImage, row: RowImage) => void;

function users(identity: Identity): StreamRelation {
  const columns = [
    { name: 'id', typeOid: 20, partOfIdentity: identity === 'default' },
    { name: 'org_id', typeOid: 20, partOfIdentity: false },
    { name: 'name', typeOid: 25, partOfIdentity: false },
  ];
  return { id: 1, schema: 'public', name: 'users', replicaIdentity: identity, columns };
}

function image(values: readonly (string | null | undefined)[]): RowImage {
  return {
    kind: (column) => (values[column] === null ? 'null' : values[column] === undefined ? 'unchanged' : 'text'),
    text: (column) => values[column] ?? '',
  };
}

const whole = (row: User): RowImage => image([String(row.id), row.org === null ? null : String(row.org), 'x']);
/** What pgoutput sends of a key image: the other columns as null. */
const keyOnly = (row: User): RowImage => image([String(row.id), null, null]);

function routed(changes: readonly Change[], identity: Identity, update: Route): Invalidation[] {
  const items: Invalidation[] = [];
  const router = new Router(busConfig([USER, ORG_MEMBERS], [ORG_TAG]), {
    invalidate: (item) => items.push(item),
    widened: () => undefined,
  });
  const relation = users(identity);
  router.define(relation, 'public.users');
  for (const one of changes) {
    if (!('old' in one)) router.insert(relation, whole(one.new));
    else if (!('new' in one)) {
      if (identity === 'full') router.delete(relation, whole(one.old), 'full');
      else router.delete(relation, keyOnly(one.old), 'key');
    } else if (identity === 'full') update(router, relation, whole(one.old), 'full', whole(one.new));
    else if (one.old.id === one.new.id) update(router, relation, null, 'none', whole(one.new));
    else update(router, relation, keyOnly(one.old), 'key', whole(one.new));
  }
  return items;
}

/** The definition: both images of every row, each key that it stands in. */
function defined(changes: readonly Change[]): Set<string> {
  const keys = new Set<string>();
  for (const one of changes) {
    for (const row of [...('old' in one ? [one.old] : []), ...('new' in one ? [one.new] : [])]) {
      keys.add(`user:${row.id}`);
      if (row.org !== null) keys.add(`org:${row.org}:members`);
    }
  }
  return keys;
}

const honest: Route = (router, relation, old, oldImage, row) => router.update(relation, old, oldImage, row);

function checkCover(identity: Identity, update: Route): void {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const items = routed(changes, identity, update);
      const keys = new Set(items.flatMap((item) => (item.scope === 'key' ? [item.key] : [])));
      const families = new Set(items.flatMap((item) => (item.scope === 'family' ? [item.family] : [])));
      for (const key of defined(changes)) {
        const owner = key.startsWith('user:') ? 'user' : 'org-members';
        assert.ok(keys.has(key) || families.has(owner), `${key} stayed`);
      }
      for (const key of keys) assert.ok(defined(changes).has(key), `${key} has no reason`);
      if (identity === 'full') assert.equal(families.size, 0, 'with the whole old row nothing widens');
    }),
  );
}

test('every key of the old and of the new row is invalidated, and no other, when the whole old row is known', () => {
  checkCover('full', honest);
});

test('where the identity does not hold the column that a key needs, its family is invalidated', () => {
  checkCover('default', honest);
});

test('the property sees a router that forgets the old row', () => {
  assert.throws(() => checkCover('full', (router, relation, _old, _image, row) => router.insert(relation, row)));
  assert.throws(() => checkCover('default', (router, relation, _old, _image, row) => router.insert(relation, row)));
});

function routeOne(
  relation: StreamRelation,
  act: (router: Router) => void,
): { items: Invalidation[]; reasons: string[] } {
  const items: Invalidation[] = [];
  const reasons: string[] = [];
  const router = new Router(busConfig([USER, ORG_MEMBERS], [ORG_TAG]), {
    invalidate: (item) => items.push(item),
    widened: (reason, table, what) => reasons.push(`${reason} ${table} ${what}`),
  });
  router.define(relation, `public.${relation.name}`);
  act(router);
  return { items, reasons };
}

test('an unchanged TOASTed value is unknown: it is read from a full old row, and widens without one', () => {
  const row = image(['1', undefined, 'x']);
  const full = routeOne(users('full'), (router) => router.update(users('full'), image(['1', '7', 'x']), 'full', row));
  assert.deepEqual(full.items, [
    { scope: 'key', family: 'user', act: 'evict', key: 'user:1' },
    { scope: 'key', family: 'org-members', act: 'evict', key: 'org:7:members' },
  ]);
  const none = routeOne(users('default'), (router) => router.update(users('default'), null, 'none', row));
  assert.deepEqual(none.items.at(-1), { scope: 'family', family: 'org-members', act: 'evict' });
});

test('a column that is gone, or of a type without a canonical text, widens to the family and says why', () => {
  const altered: StreamRelation = { ...users('full'), columns: [{ name: 'id', typeOid: 1700, partOfIdentity: true }] };
  const { items, reasons } = routeOne(altered, (router) => router.insert(altered, image(['1.0'])));
  assert.deepEqual(items, [
    { scope: 'family', family: 'user', act: 'evict' },
    { scope: 'family', family: 'org-members', act: 'evict' },
  ]);
  assert.deepEqual(reasons, ['column public.users user', 'column public.users org-members']);
});

test('a key longer than the limit widens to its family', () => {
  const long = busConfig([{ ...USER, key: { text: 'user:{id}', literals: ['user:', ''], parameters: ['id'] } }]);
  const items: Invalidation[] = [];
  const router = new Router(long, { invalidate: (item) => items.push(item), widened: () => undefined });
  const relation: StreamRelation = { ...users('full'), columns: [{ name: 'id', typeOid: 25, partOfIdentity: true }] };
  router.define(relation, 'public.users');
  router.insert(relation, image(['x'.repeat(2000)]));
  assert.deepEqual(items, [{ scope: 'family', family: 'user', act: 'evict' }]);
});

test('a text that cannot be read as it was written widens, a tag to every family with labels', () => {
  const columns = [{ name: 'id', typeOid: 25, partOfIdentity: true }];
  const row = image([Buffer.from('Zürich', 'latin1').toString('utf8')]);
  const inUsers: StreamRelation = { ...users('full'), columns };
  const { items, reasons } = routeOne(inUsers, (router) => router.insert(inUsers, row));
  assert.deepEqual(items[0], { scope: 'family', family: 'user', act: 'evict' });
  assert.equal(reasons[0], 'value public.users user');
  const orgs: StreamRelation = { ...inUsers, id: 2, name: 'orgs' };
  const ofTag = routeOne(orgs, (router) => router.insert(orgs, row));
  assert.deepEqual(ofTag.items, [{ scope: 'family', family: 'user', act: 'evict' }]);
});

test('a tag rule prints its tag; where it cannot, every family with labels is invalidated', () => {
  const orgs: StreamRelation = {
    id: 2,
    schema: 'public',
    name: 'orgs',
    replicaIdentity: 'default',
    columns: [{ name: 'id', typeOid: 20, partOfIdentity: true }],
  };
  assert.deepEqual(routeOne(orgs, (router) => router.update(orgs, null, 'none', image(['7']))).items, [
    { scope: 'tag', tag: 'org:7' },
  ]);
  assert.deepEqual(routeOne(orgs, (router) => router.wholeTable('public.orgs')).items, [
    { scope: 'family', family: 'user', act: 'evict' },
  ]);
});
