import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { LastingConnection } from '../../src/drivers/postgres/lasting-connection.ts';
import { PostgresSource } from '../../src/drivers/postgres/source.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const SOON_MS = 300;

describe('a network that swallows what is sent to Postgres', { timeout: 60_000 }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(async () => {
    await server.stop();
  });

  async function throughProxy(body: (url: string, proxy: TcpProxy) => Promise<void>): Promise<void> {
    const { hostname, port } = new URL(server.url);
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const url = new URL(server.url);
    url.port = String(proxy.port);
    try {
      await body(url.href, proxy);
    } finally {
      await proxy.close();
    }
  }

  const isUnreachable = (error: unknown): boolean => isBusError(error, 'POSTGRES_UNREACHABLE');

  test('a statement that is never answered ends the connection, and the next asks on another', async () => {
    await throughProxy(async (url, proxy) => {
      const lasting = new LastingConnection({ url, applicationName: 'test', answerTimeoutMs: SOON_MS });
      const first = await lasting.get();
      await first.query('SELECT 1');
      proxy.swallowRequests();
      await assert.rejects(first.query('SELECT 2'), isUnreachable);
      assert.equal(first.isLost, true);
      proxy.pass();
      const second = await lasting.get();
      assert.notEqual(second, first);
      assert.deepEqual(await second.query('SELECT 3 AS n'), [{ n: 3 }]);
      await lasting.close();
    });
  });

  test('the looks at a snapshot, at clock and log, and at the catalog fail and do not hang, and the source can be closed', async () => {
    await throughProxy(async (url, proxy) => {
      const source = new PostgresSource({
        url,
        bus: 'silent',
        publication: 'silent',
        slotPrefix: 'silent',
        ruleTables: [{ schema: 'public', name: 't' }],
        answerTimeoutMs: SOON_MS,
      });
      await source.snapshot();
      proxy.swallowRequests();
      await assert.rejects(source.snapshot(), isUnreachable);
      proxy.pass();
      await source.look();
      proxy.swallowRequests();
      await assert.rejects(source.look(), isUnreachable);
      proxy.pass();
      await source.directory();
      proxy.swallowRequests();
      await assert.rejects(source.directory(), isUnreachable);
      await source.close();
    });
  });

  test('a connection is closed, idle or in the middle of a statement, though nobody answers', async () => {
    await throughProxy(async (url, proxy) => {
      const idle = await connect(url, { applicationName: 'test' });
      const busy = await connect(url, { applicationName: 'test' });
      const lasting = new LastingConnection({ url, applicationName: 'test' });
      await lasting.get();
      proxy.swallowRequests();
      const asked = assert.rejects(busy.query('SELECT 1'), isUnreachable);
      await Promise.all([idle.close(), busy.close(), lasting.close(), asked]);
    });
  });

  test('a lasting connection is closed while it is being opened, though nobody answers', async () => {
    await throughProxy(async (url, proxy) => {
      proxy.swallowRequests();
      const lasting = new LastingConnection({ url, applicationName: 'test' });
      const opening = assert.rejects(lasting.get(), isUnreachable);
      await lasting.close();
      await opening;
    });
  });
});
