import { Refusal } from './fake-refusal.ts';

/** A rule of a Role (rbac.authorization.k8s.io/v1). */
export interface RoleRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** A rule, and where it counts: the namespace of its Role. Undefined: in each. */
export interface GrantedRule extends RoleRule {
  readonly namespace?: string;
}

export interface Access {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `pods/status`. */
  readonly resource: string;
  /** Undefined where the request names none: create, list, watch. */
  readonly name: string | undefined;
  readonly namespace: string;
}

/**
 * Decides as RBAC does: some rule must name verb, group and resource, and, where it names objects, the object. A create names none in its path, so that such
 * a rule never allows one (Kubernetes, "Using RBAC Authorization", Referring to resources).
 */
export function isAllowed(rules: readonly GrantedRule[], access: Access): boolean {
  return rules.some((rule) => allows(rule, access));
}

export function allows(rule: GrantedRule, { verb, group, resource, name, namespace }: Access): boolean {
  return (
    (rule.namespace === undefined || rule.namespace === namespace) &&
    named(rule.verbs, verb) &&
    named(rule.apiGroups, group) &&
    named(rule.resources, resource) &&
    (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name)))
  );
}

export function refuse(user: string, { verb, group, resource, name, namespace }: Access): Refusal {
  const object = name === undefined ? '' : ` "${name}"`;
  return new Refusal(
    403,
    'Forbidden',
    `${resource.split('/')[0]}${object} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" in the namespace "${namespace}"`,
  );
}

function named(list: readonly string[], word: string): boolean {
  return list.includes(word) || list.includes('*');
}
