import * as models from '@kubernetes/client-node';

interface Model {
  getAttributeTypeMap(): { readonly baseName: string; readonly type: string }[];
}

/**
 * The fields of an object that the API server does not know, by their paths: its models are generated from the server's own description. Unknown fields
 * are dropped without a word unless `fieldValidation` says Strict.
 */
export function unknownFields(value: unknown, type: string, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  if (list !== undefined)
    return Array.isArray(value) ? value.flatMap((item, i) => unknownFields(item, list, `${path}[${i}]`)) : [];
  const entry = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (entry !== undefined)
    return Object.entries(value).flatMap(([name, item]) => unknownFields(item, entry, `${path}.${name}`));
  const model = (models as unknown as Record<string, Model | undefined>)[type];
  if (typeof model?.getAttributeTypeMap !== 'function') return [];
  const fields = new Map(model.getAttributeTypeMap().map((field) => [field.baseName, field.type]));
  return Object.entries(value).flatMap(([name, item]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const known = fields.get(name);
    return known === undefined ? [at] : unknownFields(item, known, at);
  });
}
