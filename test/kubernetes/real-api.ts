import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { type GuardedProcess, startGuarded } from '../../src/stack/guarded-process.ts';
import { freePort } from '../../src/stack/place.ts';
import { eventually } from '../support/eventually.ts';
import { type ApiConnection, sendTo } from './api-under-test.ts';

/** A real API server. */
export interface RealApi {
  readonly kubeconfig: string;
  /** As the kubeconfig's user, who may do anything. */
  readonly connection: () => Promise<ApiConnection>;
  /** Absent where the server is not ours. */
  readonly restart?: () => Promise<void>;
  /** The kubeconfig of user `controller`, who has no rights yet. Absent where the server is not ours. */
  readonly controllerKubeconfig?: (namespace: string) => Promise<string>;
  stop(): Promise<void>;
}

/** Why there is none, or undefined. */
export const NO_REAL_API =
  (process.env['AFTERWRITE_KUBECONFIG'] ?? '') === '' && (process.env['KUBEBUILDER_ASSETS'] ?? '') === ''
    ? 'no real Kubernetes API server: set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, or AFTERWRITE_KUBECONFIG'
    : undefined;

/** The server of AFTERWRITE_KUBECONFIG, or one started from the programs in KUBEBUILDER_ASSETS. */
export async function openRealApi(): Promise<RealApi> {
  const given = process.env['AFTERWRITE_KUBECONFIG'] ?? '';
  if (given !== '') return { kubeconfig: given, connection: () => connectionOf(given), stop: async () => undefined };
  return startRealApi(process.env['KUBEBUILDER_ASSETS'] ?? '');
}

async function startRealApi(assets: string): Promise<RealApi> {
  const folder = await mkdtemp(join(tmpdir(), 'afterwrite-kube-'));
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const etcd = await startGuarded(join(assets, 'etcd'), [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
  ]);
  await writeFile(
    join(folder, 'tokens.csv'),
    'admin-token,admin,admin,system:masters\ncontroller-token,controller,controller\n',
  );
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText(`https://127.0.0.1:${port}`, 'admin-token'));
  const connection = (): Promise<ApiConnection> => connectionOf(kubeconfig);
  let server: GuardedProcess | undefined;
  const start = async (): Promise<void> => {
    server = await startGuarded(join(assets, 'kube-apiserver'), apiServerFlags(folder, etcdUrl, port));
    await eventually(
      'the API server is ready',
      async () => {
        if (server?.hasEnded() === true) throw new Error(`kube-apiserver ended: ${server.lastLines()}`);
        try {
          return (
            (await sendTo(await connection(), { method: 'GET', path: '/api/v1/namespaces/default' })).status === 200
          );
        } catch {
          return false;
        }
      },
      120_000,
    );
  };
  await start();
  return {
    kubeconfig,
    connection,
    restart: async () => {
      await server?.stop('SIGTERM');
      await start();
    },
    controllerKubeconfig: async (namespace) => {
      const path = join(folder, 'controller-kubeconfig');
      await writeFile(path, kubeconfigText(`https://127.0.0.1:${port}`, 'controller-token', namespace));
      return path;
    },
    stop: async () => {
      await server?.stop('SIGTERM');
      await etcd.stop('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function apiServerFlags(folder: string, etcdUrl: string, port: number): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--service-account-issuer=https://afterwrite.invalid',
    // Made by the server itself beside its certificate.
    `--service-account-key-file=${join(folder, 'certificates', 'apiserver.key')}`,
    `--service-account-signing-key-file=${join(folder, 'certificates', 'apiserver.key')}`,
    // Nobody makes service accounts here.
    '--disable-admission-plugins=ServiceAccount',
  ];
}

/** A kubeconfig that trusts whoever answers at this address: a server of a test. */
export function kubeconfigText(server: string, token: string, namespace = 'default'): string {
  return `apiVersion: v1
kind: Config
clusters: [{ name: test, cluster: { server: "${server}", insecure-skip-tls-verify: true } }]
users: [{ name: test, user: { token: "${token}" } }]
contexts: [{ name: test, context: { cluster: test, user: test, namespace: ${namespace} } }]
current-context: test
`;
}

async function connectionOf(kubeconfig: string): Promise<ApiConnection> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const tls: RequestOptions = {};
  await config.applyToHTTPSOptions(tls);
  const { headers, ...rest } = tls;
  return {
    url: config.getCurrentCluster()?.server ?? '',
    headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)])),
    tls: rest,
  };
}
