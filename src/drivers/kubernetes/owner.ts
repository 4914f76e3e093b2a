import type { V1ObjectMeta, V1OwnerReference } from '@kubernetes/client-node';
import { BusError } from '../../protocol/errors.ts';
import type { KubernetesClient } from './client.ts';

const OWNER = /^(configmap|deployment)\/([a-z0-9][a-z0-9.-]*)$/;

export function isOwner(text: string): boolean {
  return OWNER.test(text);
}

/**
 * A reference to `configmap/<name>` or `deployment/<name>` of the own namespace: what it owns is deleted with it. It does not block its deletion, for which
 * a right to its finalizers would be needed. Throws `KUBERNETES_OBJECT_MISSING` where it is not there.
 */
export async function readOwner(client: KubernetesClient, owner: string): Promise<V1OwnerReference> {
  const [, kind, name] = OWNER.exec(owner) ?? [];
  if (kind === undefined || name === undefined)
    throw new BusError('SETTING_INVALID', `"${owner}": configmap/NAME or deployment/NAME is expected.`);
  const at = { name, namespace: client.namespace };
  const { metadata } = await client.call(`get ${owner}`, {}, (options): Promise<{ metadata?: V1ObjectMeta }> =>
    kind === 'configmap'
      ? client.core.readNamespacedConfigMap(at, options)
      : client.apps.readNamespacedDeployment(at, options),
  );
  return {
    ...(kind === 'configmap' ? { apiVersion: 'v1', kind: 'ConfigMap' } : { apiVersion: 'apps/v1', kind: 'Deployment' }),
    name,
    uid: metadata?.uid ?? '',
    blockOwnerDeletion: false,
  };
}
