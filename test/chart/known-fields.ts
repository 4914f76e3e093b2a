import * as models from '@kubernetes/client-node';

/** What the client's models say of a kind's fields: generated from the API's own description. */
interface Model {
  getAttributeTypeMap(): readonly { readonly baseName: string; readonly type: string }[];
}

const MODELS = models as unknown as Readonly<Record<string, Model | undefined>>;
const OF_KIND: Readonly<Record<string, string>> = {
  'autoscaling/v2 HorizontalPodAutoscaler': 'V2HorizontalPodAutoscaler',
  'rbac.authorization.k8s.io/v1 Role': 'V1Role',
};
/** Known to no model of Kubernetes: their operators' own. */
const FOREIGN = /^(monitoring\.coreos\.com|keda\.sh)\//;

const PLAIN: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  IntOrString: (value) => typeof value === 'string' || Number.isInteger(value),
  any: () => true,
  object: () => true,
  Date: (value) => typeof value === 'string',
};

/** Each field that Kubernetes does not know, and each value that is none of its type, by its place. */
export function fieldFaults(manifest: { readonly apiVersion: string; readonly kind: string }): string[] {
  if (FOREIGN.test(manifest.apiVersion)) return [];
  const type = OF_KIND[`${manifest.apiVersion} ${manifest.kind}`] ?? `V1${manifest.kind}`;
  if (MODELS[type] === undefined) return [`no model of ${manifest.apiVersion} ${manifest.kind}`];
  return faultsOf(manifest, type, manifest.kind);
}

function faultsOf(value: unknown, type: string, at: string): string[] {
  const [, item] = /^Array<(.+)>$/.exec(type) ?? [];
  if (item !== undefined)
    return Array.isArray(value)
      ? value.flatMap((one, index) => faultsOf(one, item, `${at}[${index}]`))
      : [`${at}: a list is expected`];
  const [, entry] = /^\{ \[key: string\]: (.+); \}$/.exec(type) ?? [];
  if (entry !== undefined) return entriesOf(value, at, (name, one) => faultsOf(one, entry, `${at}.${name}`));
  const plain = PLAIN[type];
  if (plain !== undefined) return plain(value) ? [] : [`${at}: ${type} is expected, not ${JSON.stringify(value)}`];
  const model = MODELS[type];
  if (model === undefined) return [`${at}: no model ${type}`];
  const fields = new Map(model.getAttributeTypeMap().map((one) => [one.baseName, one.type]));
  return entriesOf(value, at, (name, one) => {
    const known = fields.get(name);
    return known === undefined ? [`${at}.${name}: no field of ${type}`] : faultsOf(one, known, `${at}.${name}`);
  });
}

function entriesOf(value: unknown, at: string, each: (name: string, one: unknown) => string[]): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at}: a map is expected`];
  return Object.entries(value).flatMap(([name, one]) => each(name, one));
}
