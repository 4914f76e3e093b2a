import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { runCli, type RunningCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { openLab } from './controller-lab.ts';
import { LEASE, NAMESPACE, OWNER, ROLE } from './installed.ts';
import { kubeconfigText } from './real-api.ts';

const WARM_REGION = fileURLToPath(new URL('./warm-region.ts', import.meta.url));

test('`afterwrite controller` warms a region whose Redis is emptied, again and again, and gives its lease back when it is told to end', async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = await connectRedis(server.url, { name: 'test' });
  t.after(() => redis.disconnect());
  const gate = new RedisGateStore(redis, 'afterwrite:shop:gate');
  const lab = await openLab(t);
  lab.runJobs();
  lab.api.addUser('controller', ROLE);
  const env = { REDIS_URL: server.url, GATE_KEY: 'afterwrite:shop:gate' };
  const template = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    spec: {
      template: {
        spec: {
          containers: [
            {
              name: 'warm',
              image: 'example.invalid/afterwrite',
              command: [process.execPath, WARM_REGION],
              env: Object.entries(env).map(([name, value]) => ({ name, value })),
            },
          ],
        },
      },
    },
  };
  const config = `bus: shop
source: { url: postgres://db.invalid/x }
log: { kafka: { brokers: [kafka.invalid:1] } }
regions: { eu: { redis: ${server.url} } }
families:
  user: { key: 'user:{id}', ttl: 5m, on: { users: { id: id } } }
`;
  let child: RunningCli | undefined;
  let port = '';
  const running = runCli(
    [
      '--config',
      lab.file(config),
      'controller',
      '--shards',
      '2',
      '--identity',
      'pod-1',
      '--template',
      lab.file(stringify(template)),
      '--lease',
      LEASE,
      '--owner',
      OWNER,
      '--kubeconfig',
      lab.file(kubeconfigText(lab.api.url, 'controller', NAMESPACE)),
    ],
    { AFTERWRITE_HTTP_PORT: '0' },
    (line, cli) => {
      child = cli;
      port = /"port":(\d+)/.exec(line)?.[1] ?? port;
    },
  );
  t.after(() => child?.kill('SIGKILL'));
  for (const epoch of ['e1', 'e2']) {
    await redis.flushall();
    // As an agent does where it finds none.
    await gate.markCold(epoch, 'no gate');
    await eventually('the region is warm', async () => (await gate.read())?.state === 'WARM', 30_000);
    await eventually('its Job has a time to live', () => {
      const [job, ...others] = lab.jobs();
      return (
        others.length === 0 &&
        job?.metadata.name === `warm-eu-${epoch}` &&
        job.spec?.['ttlSecondsAfterFinished'] === 86_400
      );
    });
  }
  await eventually('it is ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^afterwrite_controller_leading 1$/m);
  assert.match(metrics, /^afterwrite_controller_acts_total\{act="create",outcome="done"\} 2$/m);
  child?.kill('SIGTERM');
  const { code, err } = await running;
  assert.equal(code, 0, err);
  assert.equal(lab.api.store.list('leases')[0]?.spec?.['holderIdentity'], undefined);
});
