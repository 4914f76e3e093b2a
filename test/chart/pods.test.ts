import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { processOutput } from '../../src/cli/output.ts';
import { SETTINGS } from '../../src/runtime/settings.ts';
import { type ChartPod, podsOf } from './pods.ts';
import { rendered } from './rendered.ts';

const CASES = ['defaults.yaml', 'one-cluster-a-region.yaml', 'everything.yaml'];
const program = createProgram(processOutput, {} as Parameters<typeof createProgram>[1], () => undefined);
/** What the controller tells a warm-up; the chart sets none of it. */
const commandOf = (name: string): Command | undefined => program.commands.find((one) => one.name() === name);

async function allPods(): Promise<ChartPod[]> {
  return (await Promise.all(CASES.map((values) => rendered('newest', values)))).flatMap(podsOf);
}

test('every pod keeps the restricted standard of Kubernetes, and can write nowhere but where it is given a scratch volume', async () => {
  const pods = await allPods();
  assert.ok(pods.length >= 15);
  for (const { spec, owner } of pods) {
    const at = `${owner.kind} ${owner.metadata.name}`;
    const { runAsUser: _, runAsGroup: __, ...rest } = spec.securityContext as Record<string, unknown>;
    assert.deepEqual(rest, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }, at);
    for (const container of [...spec.containers, ...(spec.initContainers ?? [])])
      assert.deepEqual(
        container.securityContext,
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        at,
      );
    for (const name of ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers']) assert.equal(name in spec, false, at);
    for (const volume of spec.volumes)
      assert.ok('configMap' in volume || 'emptyDir' in volume, `${at} mounts ${JSON.stringify(volume)}`);
    for (const { name, readOnly } of spec.containers.flatMap(({ volumeMounts }) => volumeMounts))
      assert.ok(readOnly === true || name === 'scratch', `${at} mounts ${name}`);
  }
});

test('a user’s number is left to the cluster where it is said so, and is not root’s else', async () => {
  const users = async (values: string): Promise<unknown[]> =>
    podsOf(await rendered('newest', values)).map(
      ({ spec }) => (spec.securityContext as { runAsUser?: number }).runAsUser,
    );
  assert.deepEqual([...new Set(await users('everything.yaml'))], [undefined]);
  assert.deepEqual([...new Set(await users('defaults.yaml'))], [1000]);
});

test('only the controller is given a token of the API server, and no account mounts one by itself', async () => {
  for (const values of CASES) {
    const manifests = await rendered('newest', values);
    for (const { kind, metadata, ...rest } of manifests)
      if (kind === 'ServiceAccount') assert.equal(rest['automountServiceAccountToken'], false, metadata.name);
    for (const { spec, labels } of podsOf(manifests)) {
      const isController = labels['app.kubernetes.io/component'] === 'controller';
      assert.equal(spec.automountServiceAccountToken, isController);
      assert.equal(spec.serviceAccountName.endsWith('-controller'), isController);
    }
  }
});

test('every pod asks for memory and processor time, and has a limit of memory', async () => {
  for (const { spec, owner } of await allPods())
    for (const { resources } of spec.containers) {
      assert.deepEqual(Object.keys(resources?.requests ?? {}).toSorted(), ['cpu', 'memory'], owner.metadata.name);
      assert.deepEqual(Object.keys(resources?.limits ?? {}), ['memory'], owner.metadata.name);
    }
});

test('the kubelet asks the paths that the programs serve, and gives a drain its whole deadline', async () => {
  for (const { spec, owner } of await allPods()) {
    const [container] = spec.containers;
    assert.ok(container !== undefined);
    const seconds = Number(container.env.find(({ name }) => name === 'AFTERWRITE_DRAIN_TIMEOUT_MS')?.value) / 1000;
    const preStop = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
    assert.ok(spec.terminationGracePeriodSeconds > preStop + seconds, owner.metadata.name);
    if (spec.restartPolicy === 'Never') continue;
    const paths = [container.startupProbe, container.livenessProbe, container.readinessProbe].map(
      (one) => one?.httpGet,
    );
    assert.deepEqual(
      paths,
      ['/livez', '/livez', '/readyz'].map((path) => ({ path, port: 'http' })),
    );
    const port = container.env.find(({ name }) => name === 'AFTERWRITE_HTTP_PORT')?.value;
    assert.deepEqual(container.ports, [{ name: 'http', containerPort: Number(port), protocol: 'TCP' }]);
  }
});

test('every setting in a pod is one that the programs read, with a value that they take, and none comes from a Service’s name', async () => {
  const known = new Set([
    'AFTERWRITE_CONFIG',
    ...Object.keys(SETTINGS),
    ...program.commands.flatMap(({ options }) =>
      options.flatMap(({ envVar }) => (envVar === undefined ? [] : [envVar])),
    ),
  ]);
  for (const { spec, owner } of await allPods()) {
    assert.equal(spec.enableServiceLinks, false);
    const names = spec.containers.flatMap(({ env }) => env.map(({ name }) => name));
    assert.deepEqual(names, [...new Set(names)]);
    for (const name of names)
      if (name.startsWith('AFTERWRITE_')) assert.ok(known.has(name), `${owner.metadata.name}: ${name}`);
    for (const { name, value } of spec.containers.flatMap(({ env }) => env)) {
      if (name in SETTINGS) assert.ok(SETTINGS[name as keyof typeof SETTINGS].schema.safeParse(value).success, name);
      const option = program.commands.flatMap(({ options }) => options).find(({ envVar }) => envVar === name);
      if (option?.parseArg !== undefined && value !== undefined) option.parseArg(value, undefined);
      if (option?.argChoices !== undefined) assert.ok(option.argChoices.includes(value ?? ''), name);
    }
  }
});

test('every pod runs a command of the program, with options and arguments that it takes', async () => {
  for (const { spec, owner } of await allPods())
    for (const { args } of spec.containers) {
      const [name, ...rest] = args;
      const command = commandOf(name ?? '');
      assert.ok(command !== undefined, `${owner.metadata.name}: ${name}`);
      const { operands, unknown } = command.parseOptions([...rest]);
      assert.deepEqual(unknown, [], owner.metadata.name);
      assert.equal(operands.length, command.registeredArguments.length, owner.metadata.name);
      for (const option of command.options.filter(({ mandatory }) => mandatory))
        assert.ok(
          args.includes(option.long ?? '') ||
            spec.containers.some(({ env }) => env.some((one) => one.name === option.envVar)),
          `${owner.metadata.name}: ${option.long}`,
        );
    }
});

test('each variable of the file comes from a Secret that exists, or is said to be none; comments and $${…} ask for nothing', async () => {
  const variables = async (values: string): Promise<Record<string, string | undefined>> => {
    const [pod] = podsOf(await rendered('newest', values));
    const env = pod?.spec.containers[0]?.env ?? [];
    return Object.fromEntries(
      env
        .filter(({ name }) => !name.startsWith('AFTERWRITE_'))
        .map(({ name, value, valueFrom }) => [
          name,
          value ?? `${valueFrom?.secretKeyRef?.name}/${valueFrom?.secretKeyRef?.key}`,
        ]),
    );
  };
  assert.deepEqual(await variables('one-cluster-a-region.yaml'), {
    KAFKA_BROKER: 'kafka:9092',
    PG_URL: 'shop-postgres/url',
    REDIS_EU: 'shop/REDIS_EU',
  });
  assert.deepEqual(
    await variables('everything.yaml'),
    Object.fromEntries(
      ['LOADER_TOKEN', 'PG_REPLICA', 'PG_URL', 'REDIS_BUFFER', 'REDIS_EU', 'REDIS_LOG', 'REDIS_US'].map((name) => [
        name,
        `afterwrite/${name}`,
      ]),
    ),
  );
});
