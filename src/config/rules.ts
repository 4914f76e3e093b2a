import { type KeyTemplate, parseKeyTemplate } from '../protocol/key-template.ts';
import type { Rule, TableName } from './bus-config.ts';
import type { RawRules } from './file-schema.ts';
import type { Path } from './yaml-file.ts';

/** Where a fault is noted while the file is read. */
export type NoteFault = (path: Path, message: string) => void;

const TABLE = /^(?:([A-Za-z_][\w$]*)\.)?([A-Za-z_][\w$]*)$/;

export function readTemplate(text: string, path: Path, fault: NoteFault): KeyTemplate | undefined {
  const result = parseKeyTemplate(text);
  if (result.kind === 'template') return result.template;
  fault(path, result.fault);
  return undefined;
}

/** Reads the `on` rules of a key or tag template. A rule must supply every parameter of the template, and nothing else. */
export function readRules(raw: RawRules, template: KeyTemplate, path: Path, fault: NoteFault): Rule[] {
  return Object.entries(raw).flatMap(([tableText, mappings]) => {
    const at = [...path, tableText];
    const table = readTable(tableText);
    if (table === undefined) fault(at, `"${tableText}" is no table: a name is expected, or schema.name`);
    const list = Array.isArray(mappings) ? mappings : [mappings];
    return list.flatMap((mapping): Rule[] => {
      const columns = template.parameters.map((parameter) => columnOf(mapping, parameter));
      const missing = template.parameters.filter((_, i) => columns[i] === undefined);
      for (const parameter of missing)
        fault(
          at,
          `no column supplies the parameter {${parameter}}: one is expected, such as ${parameter}: ${parameter}`,
        );
      for (const [column, parameter] of Object.entries(mapping)) {
        if (!template.parameters.includes(parameter))
          fault(
            [...at, column],
            `"${template.text}" has no parameter {${parameter}}; its parameters: ${listOf(template.parameters)}`,
          );
      }
      if (table === undefined || missing.length > 0) return [];
      return [{ table, columns: columns.map((column) => column ?? '') }];
    });
  });
}

function columnOf(mapping: Readonly<Record<string, string>>, parameter: string): string | undefined {
  return Object.entries(mapping).find(([, given]) => given === parameter)?.[0];
}

export function readTable(text: string): TableName | undefined {
  const [, schema, name] = TABLE.exec(text) ?? [];
  return name === undefined ? undefined : { schema: schema ?? 'public', name };
}

export function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `{${name}}`).join(', ');
}
