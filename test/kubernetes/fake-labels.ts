import type { KubeObject } from './fake-store.ts';

/** Label selectors of two forms: `name=value`, and `name` for any. */
export function matchesLabels({ metadata }: KubeObject, selector: string | null): boolean {
  if (selector === null || selector === '') return true;
  return selector.split(',').every((term) => {
    const [name = '', value] = term.split('=');
    const label = metadata.labels?.[name];
    return value === undefined ? label !== undefined : label === value;
  });
}
