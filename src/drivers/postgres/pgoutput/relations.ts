import type { Cursor } from './cursor.ts';
import type { Column, Relation } from './messages.ts';

/** Postgres allows 1,600 columns in a table. */
const COLUMNS_MAX = 1664;
/** Far more tables than any publication names; a stream that goes on describing new ones is not one of ours. */
const RELATIONS_MAX = 1_000_000;

const IDENTITIES: Readonly<Record<string, Relation['replicaIdentity']>> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
};

/** The relations that a stream has described. It lives and dies with its connection: the server describes each anew on the next. */
export class Relations {
  readonly #byId = new Map<number, Relation>();
  #last: Relation | undefined;

  /** Finds the relation that a row names. Runs of rows of one table ask for the same again and again. */
  find(id: number): Relation | undefined {
    if (this.#last?.id !== id) this.#last = this.#byId.get(id);
    return this.#last;
  }

  /** Reads a relation message and keeps the relation in place of what was known by its id. */
  read(cursor: Cursor): Relation {
    const relation = readRelation(cursor);
    if (this.#byId.size >= RELATIONS_MAX && !this.#byId.has(relation.id)) {
      throw cursor.malformed(`no more than ${RELATIONS_MAX} relations in a stream`);
    }
    this.#byId.set(relation.id, relation);
    this.#last = relation;
    return relation;
  }
}

function readRelation(cursor: Cursor): Relation {
  const id = cursor.uint32('the id of a relation');
  // Empty stands for pg_catalog.
  const schema = cursor.text('a schema name') || 'pg_catalog';
  const name = cursor.text('a table name');
  const identityAt = cursor.at;
  const replicaIdentity = IDENTITIES[String.fromCharCode(cursor.uint8('a replica identity'))];
  if (replicaIdentity === undefined) throw cursor.malformed('a replica identity of d, n, f or i', identityAt);
  const countAt = cursor.at;
  const count = cursor.uint16('a count of columns');
  if (count > COLUMNS_MAX) throw cursor.malformed(`at most ${COLUMNS_MAX} columns, and not ${count}`, countAt);
  const columns: Column[] = [];
  for (let i = 0; i < count; i += 1) columns.push(readColumn(cursor));
  cursor.finish();
  return { id, schema, name, replicaIdentity, columns };
}

function readColumn(cursor: Cursor): Column {
  const partOfIdentity = (cursor.uint8('the flags of a column') & 1) === 1;
  const name = cursor.text('a column name');
  const typeOid = cursor.uint32('the type of a column');
  const typeModifier = cursor.int32('the type modifier of a column');
  return { name, typeOid, typeModifier, partOfIdentity };
}
