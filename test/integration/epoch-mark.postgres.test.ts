import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { PostgresSource } from '../../src/drivers/postgres/source.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { eventually } from '../support/eventually.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';

const FAMILIES = { user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } } } };

for (const major of [15, 18] as const) {
  test(`a source epoch that the log of the bus has lost is told by PostgreSQL ${major}’s own, and the next is drawn above it`, async () => {
    const server = await startPostgres({ major });
    const sql = await connect(server.url, { applicationName: 'test' });
    const relays: RunningRelay[] = [];
    const run = (log: MemoryLog): RunningRelay => {
      const relay = new RunningRelay(config, log);
      relays.push(relay);
      return relay;
    };
    const config = configOf(server.url, FAMILIES);
    try {
      await sql.query('CREATE TABLE public.users (id bigint PRIMARY KEY)');
      await setUp(sql, config);
      const log = new MemoryLog(config.log.partitions);
      const first = run(log);
      await eventually('records of the first', () => first.records().length > 0);
      await first.stop();
      // Another relay draws the next epoch, into a log of which nothing will be left, and confirms nothing.
      const epoch = first.records()[0]?.sourceEpoch.number ?? 0;
      const { url, publication, slotPrefix } = config.source;
      const source = new PostgresSource({ url, bus: config.bus, publication, slotPrefix, ruleTables: [] });
      await source.markEpoch(epoch + 1_000_000_000);
      await source.close();
      const second = run(log);
      await eventually('a higher epoch', () =>
        second.records().some((r) => r.sourceEpoch.number > epoch + 1_000_000_000),
      );
      assert.deepEqual(second.epochs, [`${epoch} none`, `${epoch + 1_000_000_001} log`]);
    } finally {
      for (const relay of relays) await relay.stop();
      await sql.close();
      await server.stop();
    }
  });
}
