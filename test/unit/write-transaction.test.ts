import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from '../../src/client/pool.ts';
import { runInTransaction } from '../../src/client/write-transaction.ts';
import { isBusError } from '../../src/protocol/errors.ts';

/** A pool of an older pg, which does not tell whether a transaction is open; `commit` is what the server answers. */
function poolOf(commit: () => Promise<unknown>): { pool: Pool; asked: string[]; destroyed: (boolean | undefined)[] } {
  const asked: string[] = [];
  const destroyed: (boolean | undefined)[] = [];
  const query = async ({ text }: { text: string }): Promise<unknown> => {
    asked.push(text);
    if (text === 'COMMIT') return commit();
    return text.startsWith('BEGIN') ? [{ rows: [] }, { rows: [['off']] }] : { rows: [] };
  };
  const nothing = (): void => undefined;
  const client = {
    query,
    release: (destroy?: boolean) => destroyed.push(destroy),
    on: nothing,
    removeListener: nothing,
  };
  return { pool: { connect: async () => client } as unknown as Pool, asked, destroyed };
}
const work = { run: () => 7, beforeCommit: async () => 'prepared' };

test('a COMMIT that the server calls a ROLLBACK is none', async () => {
  const { pool, destroyed } = poolOf(async () => ({ rows: [], command: 'ROLLBACK' }));
  const end = await runInTransaction(pool, work);
  assert.ok(end.kind === 'rolled back' && isBusError(end.error, 'WRITE_ROLLED_BACK') && end.prepared === 'prepared');
  assert.deepEqual(destroyed, [false]);
});

test('what is unknown of a COMMIT is told apart from what the server refused, and closes the client', async () => {
  const lost = [new Error('Connection terminated'), ...['57P01', '08006', '25P03'].map((code) => failure(code))];
  for (const error of lost) {
    const { pool, destroyed } = poolOf(() => Promise.reject(error));
    const end = await runInTransaction(pool, work);
    assert.ok(end.kind === 'unknown' && isBusError(end.error, 'WRITE_OUTCOME_UNKNOWN') && end.error.cause === error);
    assert.deepEqual(destroyed, [true]);
  }
  for (const error of ['40001', '23505', '57014'].map((code) => failure(code))) {
    const { pool, destroyed } = poolOf(() => Promise.reject(error));
    const end = await runInTransaction(pool, work);
    assert.ok(end.kind === 'rolled back' && end.error === error);
    assert.deepEqual(destroyed, [false]);
  }
});

test('an error of the work is returned as it is, also where ROLLBACK fails after it', async () => {
  const mine = new Error('mine');
  const { pool, asked } = poolOf(async () => ({ rows: [], command: 'COMMIT' }));
  const end = await runInTransaction(pool, { ...work, run: () => Promise.reject(mine) });
  assert.ok(end.kind === 'rolled back' && end.error === mine);
  assert.deepEqual(asked, ['BEGIN; SHOW in_hot_standby', 'ROLLBACK']);
  const broken: Pool = {
    connect: async () => {
      const client = await pool.connect();
      const query: typeof client.query = (request) =>
        request.text === 'ROLLBACK' ? Promise.reject(new Error('gone')) : client.query(request);
      return { ...client, query };
    },
  };
  const second = await runInTransaction(broken, { ...work, run: () => Promise.reject(mine) });
  assert.ok(second.kind === 'rolled back' && second.error === mine);
});

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
