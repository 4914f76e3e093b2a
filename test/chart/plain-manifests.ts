import { type Manifest, rendered } from './rendered.ts';

interface Meta {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** The chart's defaults as plain manifests: without what is Helm's own. */
export async function plainDefaults(): Promise<Manifest[]> {
  return (await rendered('newest')).map((manifest) => {
    const one = structuredClone(manifest);
    const { template } = (one['spec'] ?? {}) as { template?: { metadata: Meta } };
    for (const { labels, annotations } of [one.metadata as Meta, template?.metadata ?? {}]) {
      delete labels?.['helm.sh/chart'];
      delete labels?.['app.kubernetes.io/managed-by'];
      delete annotations?.['checksum/config'];
    }
    return one;
  });
}

/** Where the user's file stands, beside the manifests. */
export const FILE_CONFIG_MAP = 'afterwrite-config';
