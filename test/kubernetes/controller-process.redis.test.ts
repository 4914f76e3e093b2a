import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { createStreams } from '../../src/drivers/redis/streams.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { runCli, type RunningCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { openLab } from './controller-lab.ts';
import { jobTemplate, LEASE, NAMESPACE, OWNER, PODS_NAMESPACE, ROLE } from './installed.ts';
import { kubeconfigText } from './real-api.ts';

const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

/** The chart's Job, run from the sources. What it takes from a Secret is in the file here. */
function template(config: string): object {
  const job = jobTemplate();
  for (const container of job.spec?.template.spec?.containers ?? []) {
    container.command = [process.execPath, PROGRAM];
    container.env = (container.env ?? [])
      .filter(({ valueFrom }) => valueFrom === undefined)
      .map(({ name, value = '' }) => {
        const ours: Readonly<Record<string, string>> = {
          AFTERWRITE_CONFIG: config,
          AFTERWRITE_HTTP_PORT: '0',
          AFTERWRITE_LOG_LEVEL: 'error',
        };
        return { name, value: ours[name] ?? value };
      });
  }
  return job;
}

test('`afterwrite controller`, installed as the chart has it, has a region whose Redis is emptied warmed by the chart’s Job, again and again', async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = await connectRedis(server.url, { name: 'test' });
  t.after(() => redis.disconnect());
  // The log’s is another database, which stays when the region’s is emptied.
  const logUrl = `${server.url}/1`;
  const log = await connectRedis(logUrl, { name: 'test' });
  t.after(() => log.disconnect());
  await createStreams(log, 'shop', { kind: 'redis-streams', url: logUrl, partitions: 2, recordsMax: 1000 });
  const gate = new RedisGateStore(redis, 'afterwrite:shop:gate');
  const lab = await openLab(t);
  lab.runJobs();
  lab.api.addUser('controller', ROLE);
  lab.api.store.create('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', namespace: PODS_NAMESPACE, labels: { 'afterwrite.dev/region': 'eu' } },
    spec: { containers: [], readinessGates: [{ conditionType: 'afterwrite.dev/region-warm' }] },
    status: { phase: 'Running' },
  });
  // Nothing is published of what is read, so that its gate opens by steps of time.
  const config = lab.file(`bus: shop
source: { url: postgres://db.invalid/x }
log: { redisStreams: { url: ${logUrl}, partitions: 2 } }
regions: { eu: { redis: ${server.url} } }
warmup: { ramp: [{ share: 40%, admit: 30% }], rampStep: 2s }
families:
  user: { key: 'user:{id}', ttl: 5m, source: 'select id from users where id = {id}', on: { users: { id: id } } }
`);
  let child: RunningCli | undefined;
  let port = '';
  const args = {
    '--config': config,
    '--shards': '2',
    '--identity': 'pod-1',
    '--lease': LEASE,
    '--owner': OWNER,
    '--pods': PODS_NAMESPACE,
    '--template': lab.file(stringify(template(config))),
    '--kubeconfig': lab.file(kubeconfigText(lab.api.url, 'controller', NAMESPACE)),
  };
  const running = runCli(['controller', ...Object.entries(args).flat()], { AFTERWRITE_HTTP_PORT: '0' }, (line, cli) => {
    child = cli;
    port = /"port":(\d+)/.exec(line)?.[1] ?? port;
  });
  t.after(() => child?.kill('SIGKILL'));
  const told = (): string[] =>
    (
      (lab.api.store.get('pods', PODS_NAMESPACE, 'app')?.status?.['conditions'] ?? []) as {
        type: string;
        status: string;
        message: string;
      }[]
    ).map(({ status, message }) => `${status} ${message}`);
  for (const epoch of ['e1', 'e2']) {
    await redis.flushdb();
    // As an agent does where it finds none.
    await gate.markCold(epoch, 'no gate');
    await eventually('its pods take no traffic', () => told().join().startsWith('False'));
    await eventually('it is on its way', async () => (await gate.read())?.state === 'WARMING', 30_000);
    await eventually('the region is warm', async () => (await gate.read())?.state === 'WARM', 30_000);
    await eventually('its pods take traffic', () => told().join().startsWith('True'));
    await eventually(
      'its Job has a time to live',
      () => {
        const [job, ...others] = lab.jobs();
        return (
          others.length === 0 &&
          job?.metadata.name === `warm-eu-${epoch}` &&
          job.spec?.['ttlSecondsAfterFinished'] === 86_400
        );
      },
      30_000,
    );
  }
  await eventually('it is ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^afterwrite_controller_leading 1$/m);
  assert.match(metrics, /^afterwrite_controller_acts_total\{act="create",outcome="done"\} 2$/m);
  child?.kill('SIGTERM');
  const { code, err } = await running;
  assert.equal(code, 0, err);
  assert.equal(lab.api.store.list('leases')[0]?.spec?.['holderIdentity'], undefined, 'it gave its lease back');
});
