import { type KeyTemplate, parseKeyTemplate } from '../protocol/key-template.ts';
import type { Rule, TableName } from './bus-config.ts';
import type { RawRules } from './file-schema.ts';
import type { Path } from './yaml-file.ts';

/** Where a fault is noted while the file is read. */
export type NoteFault = (path: Path, message: string) => void;

/** A name as the catalog has it; those with a dot, a space or a quotation mark inside are not supported. */
const TABLE = /^(?:([^\s."]+)\.)?([^\s."]+)$/;

export function readTemplate(text: string, path: Path, fault: NoteFault): KeyTemplate | undefined {
  const result = parseKeyTemplate(text);
  if (result.kind === 'template') return result.template;
  fault(path, result.fault);
  return undefined;
}

/** Templates with equal literals in equal places print the same keys, whatever their parameters are called. */
export function shapeOf(template: KeyTemplate): string {
  return template.literals.join('{}');
}

/** Reads the `on` rules of a key or tag template. Each must supply every parameter of the template by one column, and nothing else. */
export function readRules(raw: RawRules, template: KeyTemplate, path: Path, fault: NoteFault): Rule[] {
  return Object.entries(raw).flatMap(([tableText, mappings]) => {
    const at = [...path, tableText];
    const table = readTable(tableText);
    if (table === undefined) fault(at, `"${tableText}" is no table: a name is expected, or schema.name`);
    const list = Array.isArray(mappings) ? mappings : [mappings];
    return list.flatMap((mapping, i): Rule[] => {
      const columns = readMapping(mapping, template, Array.isArray(mappings) ? [...at, i] : at, fault);
      return table === undefined || columns === undefined ? [] : [{ table, columns }];
    });
  });
}

/** The column of each parameter, in their order; undefined if one has none, or more than one. */
function readMapping(
  mapping: Readonly<Record<string, string>>,
  template: KeyTemplate,
  path: Path,
  fault: NoteFault,
): string[] | undefined {
  const suppliers = template.parameters.map((parameter) =>
    Object.keys(mapping).filter((column) => mapping[column] === parameter),
  );
  template.parameters.forEach((parameter, i) => {
    const columns = suppliers[i] ?? [];
    if (columns.length === 0)
      fault(
        path,
        `no column supplies the parameter {${parameter}}: one is expected, such as ${parameter}: ${parameter}`,
      );
    else if (columns.length > 1)
      fault(
        path,
        `${columns.join(' and ')} both supply {${parameter}}: one column is expected; a table that gives the key in two ways has a list of maps, such as [${columns.map((column) => `{ ${column}: ${parameter} }`).join(', ')}]`,
      );
  });
  for (const [column, parameter] of Object.entries(mapping)) {
    if (!template.parameters.includes(parameter))
      fault(
        [...path, column],
        `"${template.text}" has no parameter {${parameter}}; its parameters: ${listOf(template.parameters)}`,
      );
  }
  const columns = suppliers.flatMap((one) => (one.length === 1 ? one : []));
  return columns.length === template.parameters.length ? columns : undefined;
}

export function readTable(text: string): TableName | undefined {
  const [, schema, name] = TABLE.exec(text) ?? [];
  return name === undefined ? undefined : { schema: schema ?? 'public', name };
}

export function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `{${name}}`).join(', ');
}
