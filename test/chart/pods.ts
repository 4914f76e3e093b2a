import { parse } from 'yaml';
import type { Manifest } from './rendered.ts';

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
  };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly Variable[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle?: { readonly preStop?: { readonly sleep?: { readonly seconds: number } } };
  readonly securityContext?: object;
  readonly resources?: { readonly requests?: object; readonly limits?: object };
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly restartPolicy?: string;
  readonly securityContext?: object;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly object[];
  readonly topologySpreadConstraints?: readonly object[];
}

/** A pod that the chart makes, or lets the controller make. */
export interface ChartPod {
  /** The object that it is of. */
  readonly owner: Manifest;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** Every pod template of the manifests: of Deployments, of the Job in the warm-up's ConfigMap, and the pods of `helm test`. */
export function podsOf(manifests: readonly Manifest[]): ChartPod[] {
  return manifests.flatMap((owner) => {
    if (owner.kind === 'Pod') return [{ owner, labels: owner.metadata.labels ?? {}, spec: owner['spec'] as PodSpec }];
    const job = jobOf(owner);
    const whole = job ?? (owner.kind === 'Deployment' || owner.kind === 'Job' ? owner : undefined);
    if (whole === undefined) return [];
    const { template } = whole['spec'] as { template: { metadata: { labels: Record<string, string> }; spec: PodSpec } };
    return [{ owner, labels: template.metadata.labels, spec: template.spec }];
  });
}

/** The Job in the warm-up's ConfigMap. */
export function jobOf({ kind, ...rest }: Manifest): Manifest | undefined {
  const text = kind === 'ConfigMap' ? (rest['data'] as Record<string, string>)['job.yaml'] : undefined;
  return text === undefined ? undefined : (parse(text) as Manifest);
}
