import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Pool } from '../../src/client/pool.ts';
import { transactionsOf } from '../../src/client/pool-transaction.ts';
import { quiet } from '../support/fake-clock.ts';

/** A pool of one client, whose statements take so long. */
function pool(statementMs: number) {
  const seen = { closed: undefined as boolean | undefined };
  const client = {
    query: async () => {
      await new Promise<void>((done) => setTimeout(done, statementMs));
      return { fields: [], rows: [] };
    },
    release: (mustClose: boolean) => void (seen.closed = mustClose),
    on: () => client,
    removeListener: () => client,
  };
  return { seen, pool: { connect: async () => client } as unknown as Pool };
}

async function pass({ mock }: TestContext, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    await quiet();
    mock.timers.tick(1000);
  }
  await quiet();
}

test('a transaction may take long, so long as its statements are answered', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { seen, pool: one } = pool(30_000);
  let answered = 0;
  const done = transactionsOf(one)(async (sql) => {
    for (let i = 0; i < 10; i++) {
      await sql('SELECT', []);
      answered += 1;
    }
  });
  done.catch(() => undefined);
  await pass(t, 12 * 30_000);
  await done;
  assert.deepEqual([answered, seen.closed], [10, false]);
});

test('a transaction whose statement is not answered is given up, and its connection closed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { seen, pool: one } = pool(600_000);
  const done = assert.rejects(
    transactionsOf(one)(async (sql) => sql('SELECT', [])),
    { name: 'TimeoutError' },
  );
  await pass(t, 61_000);
  await done;
  assert.equal(seen.closed, true);
});
