import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Fault } from './fault.ts';

export type Path = readonly (string | number)[];

/** A parsed file, with the place of everything in it. */
export interface YamlFile {
  readonly name: string;
  readonly value: unknown;
  /** The line of a path, or of the nearest thing that contains it. */
  readonly lineOf: (path: Path) => number;
  readonly faults: readonly Fault[];
}

const VARIABLE = /\$\$\{|\$\{([^}]*)\}/g;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Parses YAML and puts the environment into its values: `${NAME}`; `$${` stands for itself. Names every missing variable. */
export function parseYamlFile(name: string, text: string, env: Readonly<Record<string, string | undefined>>): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const faults: Fault[] = document.errors.map((error) => ({
    file: name,
    line: lines.linePos(error.pos[0]).line,
    path: '',
    message: `this is no valid YAML: ${error.message}`,
  }));
  const lineByPath = new Map<string, number>();
  if (faults.length === 0) noteLines(document.contents, [], lines, lineByPath);
  const lineOf = (path: Path): number => {
    for (let length = path.length; length > 0; length--) {
      const line = lineByPath.get(keyOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
  const missing = (path: Path, message: string): void =>
    void faults.push({ file: name, line: lineOf(path), path: path.join('.'), message });
  const value = faults.length === 0 ? interpolate(document.toJS() as unknown, [], env, missing) : undefined;
  return { name, value, lineOf, faults };
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

function noteLines(node: Node | null, path: Path, lines: LineCounter, into: Map<string, number>): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const at = [...path, String(key.value)];
      into.set(keyOf(at), lines.linePos(key.range?.[0] ?? 0).line);
      noteLines(value as Node | null, at, lines, into);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      const at = [...path, index];
      into.set(keyOf(at), lines.linePos((item as Node).range?.[0] ?? 0).line);
      noteLines(item as Node, at, lines, into);
    });
  }
}

function interpolate(
  value: unknown,
  path: Path,
  env: Readonly<Record<string, string | undefined>>,
  missing: (path: Path, message: string) => void,
): unknown {
  if (Array.isArray(value)) return value.map((item, index) => interpolate(item, [...path, index], env, missing));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, interpolate(item, [...path, key], env, missing)]),
    );
  }
  if (typeof value !== 'string') return value;
  return value.replace(VARIABLE, (whole, variable: string | undefined) => {
    if (variable === undefined) return '${';
    if (!VARIABLE_NAME.test(variable))
      missing(path, `"${whole}" names no environment variable: letters, digits and underscores are expected`);
    else if (env[variable] === undefined || env[variable] === '')
      missing(path, `the environment variable ${variable} is not set`);
    return env[variable] ?? '';
  });
}
