import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { V1Job } from '@kubernetes/client-node';
import { parse, parseAllDocuments } from 'yaml';
import type { GrantedRule, RoleRule } from './fake-access.ts';

interface Installed {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  /** Of a Role. */
  readonly rules?: readonly RoleRule[];
  /** Of a ConfigMap. */
  readonly data?: Readonly<Record<string, string>>;
  /** Of a Deployment. */
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly env: readonly { readonly name: string; readonly value?: string }[] }[];
      };
    };
  };
}

/** The chart's own objects, so that the controller is tested as it is installed. test/chart holds both files against what Helm renders. */
const DEFAULTS = objectsOf('../../k8s/controller.yaml');
/** Where the application's pods wait for their region, there is a Role in their namespace too. */
const WITH_PODS = objectsOf('../chart/golden/one-cluster-a-region.yaml');

const controller = found(DEFAULTS, 'Deployment', 'afterwrite-controller');
const roleOfPods = found(WITH_PODS, 'Role', 'afterwrite-controller-pods');

/** What the controller may do, and where. */
export const ROLE: readonly GrantedRule[] = [
  ...granted(found(DEFAULTS, 'Role', 'afterwrite-controller')),
  ...granted(roleOfPods),
];
export const NAMESPACE = controller.metadata.namespace;
/** Of the application's pods. */
export const PODS_NAMESPACE = roleOfPods.metadata.namespace;
export const LEASE = variable('AFTERWRITE_LEASE');
/** Of the Jobs: `configmap/NAME`. */
export const OWNER = variable('AFTERWRITE_OWNER');
export const OWNER_NAME = OWNER.replace('configmap/', '');

/** The template of the warm-up's Job, as the chart has it. */
export function jobTemplate(): V1Job {
  return parse(found(objectsOf('../../k8s/warmup.yaml'), 'ConfigMap', OWNER_NAME).data?.['job.yaml'] ?? '') as V1Job;
}

function objectsOf(path: string): Installed[] {
  const text = readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as Installed);
}

function found(objects: readonly Installed[], kind: string, name: string): Installed {
  const one = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (one === undefined) throw new Error(`The chart has no ${kind} ${name}.`);
  return one;
}

function granted({ rules = [], metadata: { namespace } }: Installed): GrantedRule[] {
  return rules.map((rule) => ({ ...rule, namespace }));
}

function variable(name: string): string {
  const [container] = controller.spec?.template.spec.containers ?? [];
  const value = container?.env.find((one) => one.name === name)?.value;
  if (value === undefined) throw new Error(`The chart’s controller has no ${name}.`);
  return value;
}
