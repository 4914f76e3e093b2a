import { type Document, isAlias, isMap, isScalar, LineCounter, type Node, isSeq, parseDocument } from 'yaml';
import type { Fault } from './fault.ts';
import { guardVariables, replaceVariables, unguard } from './variables.ts';

export type Path = readonly (string | number)[];

/** A parsed file, with the place of everything in it. */
export interface YamlFile {
  readonly name: string;
  /** Undefined where the file is no YAML that can be read. */
  readonly value: unknown;
  /** The line of a path, or of the nearest thing that contains it. */
  readonly lineOf: (path: Path) => number;
  readonly faults: readonly Fault[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Parses YAML and puts the environment into its values: `${NAME}`; `$${` stands for `${` itself. Names every missing variable. */
export function parseYamlFile(name: string, text: string, env: Environment): YamlFile {
  const lines = new Map<string, number>();
  const faults: Fault[] = [];
  const lineOf = (path: Path): number => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(keyOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
  const note = (path: Path, message: string): void =>
    void faults.push({ file: name, line: lineOf(path), path: path.join('.'), message });
  const noteAt: NoteAt = (line, message, path = []) => {
    // One mistake makes the parser complain several times of a line: the first says it best.
    if (faults.some((fault) => fault.line === line)) return;
    faults.push({ file: name, line, path: path.join('.'), message: unguard(message) });
  };
  const raw = readDocument(text, lines, noteAt);
  if (raw === undefined) return { name, value: undefined, lineOf, faults };
  return { name, value: interpolate(raw, [], { env, note, within: new Set() }), lineOf, faults };
}

type NoteAt = (line: number, message: string, path?: Path) => void;

function readDocument(text: string, lines: Map<string, number>, fault: NoteAt): unknown {
  const counter = new LineCounter();
  // What is not closed is missed at the very end, after the last line that says anything.
  const lastLine = text.trimEnd().split('\n').length;
  try {
    const document = parseDocument(guardVariables(text), {
      lineCounter: counter,
      prettyErrors: false,
      uniqueKeys: false,
      stringKeys: true,
      merge: true,
    });
    // A warning is a tag that is not known: what it was to do to the value would be a guess.
    for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
      const line = Math.min(counter.linePos(pos[0]).line, lastLine);
      if (code === 'MULTIPLE_DOCS') fault(line, 'one document is expected, and another begins with "---"');
      else fault(line, `this is no valid YAML: ${message}`);
    }
    const places = new Places(document, counter, lines, fault);
    places.note(document.contents, []);
    return document.errors.length === 0 && places.isSound ? (document.toJS() as unknown) : undefined;
  } catch (error) {
    fault(1, `this is no YAML that can be read: ${(error as Error).message}`);
    return undefined;
  }
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** Notes the line of every key and item, and what stands twice. */
class Places {
  /** False if something cannot be turned into a value. */
  isSound = true;
  readonly #document: Document;
  readonly #counter: LineCounter;
  readonly #lines: Map<string, number>;
  readonly #report: NoteAt;

  constructor(document: Document, counter: LineCounter, lines: Map<string, number>, fault: NoteAt) {
    this.#document = document;
    this.#counter = counter;
    this.#lines = lines;
    this.#report = fault;
  }

  note(node: unknown, path: Path): void {
    if (isAlias(node) && node.resolve(this.#document) === undefined)
      this.#fault(node, `"*${node.source}" stands for nothing: an anchor "&${node.source}" before it is expected`);
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (!isScalar(key)) continue;
        const name = unguard(String(key.value));
        // An object of JavaScript cannot keep such a key: the section would be lost without a word.
        if (name === '__proto__') this.#fault(key, '"__proto__" can be no name here');
        const first = this.#lines.get(keyOf([...path, name]));
        if (first !== undefined)
          this.#report(this.#lineOf(key), `stands in line ${first} already: one place is expected`, [...path, name]);
        this.#enter(key, value, [...path, name]);
      }
    } else if (isSeq(node)) node.items.forEach((item, index) => this.#enter(item, item, [...path, index]));
  }

  #enter(place: unknown, value: unknown, path: Path): void {
    this.#lines.set(keyOf(path), this.#lineOf(place));
    this.note(value, path);
  }

  #fault(node: unknown, message: string): void {
    this.isSound = false;
    this.#report(this.#lineOf(node), message);
  }

  #lineOf(node: unknown): number {
    return this.#counter.linePos((node as Node | null)?.range?.[0] ?? 0).line;
  }
}

interface Interpolation {
  readonly env: Environment;
  readonly note: (path: Path, message: string) => void;
  /** What contains the value that is looked at. */
  readonly within: Set<unknown>;
}

function interpolate(value: unknown, path: Path, parts: Interpolation): unknown {
  if (typeof value === 'string') return replaceVariables(value, parts.env, (message) => parts.note(path, message));
  if (typeof value !== 'object' || value === null) return value;
  if (parts.within.has(value)) {
    parts.note(path, 'this alias stands inside of its own anchor');
    return null;
  }
  parts.within.add(value);
  const result = Array.isArray(value)
    ? value.map((item, index) => interpolate(item, [...path, index], parts))
    : Object.fromEntries(
        Object.entries(value).map(([key, item]) => [unguard(key), interpolate(item, [...path, unguard(key)], parts)]),
      );
  parts.within.delete(value);
  return result;
}
