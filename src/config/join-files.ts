import type { Fault } from './fault.ts';
import type { Path, YamlFile } from './yaml-file.ts';

export interface Joined {
  readonly value: Readonly<Record<string, unknown>>;
  readonly faults: readonly Fault[];
  /** The file and line of a path, or of the nearest thing that contains it. */
  readonly placeOf: (path: Path) => { readonly file: string; readonly line: number };
}

/** Sections that files share, by name. Every other may stand in one file only. */
const SHARED = new Set(['families', 'tags', 'buffers']);

/** Joins the files of several teams into one. What stands twice is a fault that names both places. */
export function joinFiles(files: readonly YamlFile[]): Joined {
  const joining = new Joining(files);
  for (const file of files) joining.add(file);
  return joining;
}

class Joining implements Joined {
  readonly faults: Fault[] = [];
  readonly #files: readonly YamlFile[];
  readonly #value = new Map<string, unknown>();
  readonly #shared = new Map<string, Map<string, unknown>>();
  readonly #homes = new Map<string, YamlFile>();

  constructor(files: readonly YamlFile[]) {
    this.#files = files;
  }

  get value(): Readonly<Record<string, unknown>> {
    const shared = [...this.#shared].map(([section, items]) => [section, Object.fromEntries(items)] as const);
    return Object.fromEntries([...shared, ...this.#value]);
  }

  add(file: YamlFile): void {
    if (!isObject(file.value)) {
      const message = 'a map is expected, with bus, source, log, regions and families';
      this.faults.push({ file: file.name, line: 1, path: '', message });
      return;
    }
    for (const [section, content] of Object.entries(file.value)) {
      if (SHARED.has(section) && isObject(content)) this.#share(file, section, content);
      else if (this.#claim(file, [section])) this.#value.set(section, content);
    }
  }

  placeOf(path: Path): { readonly file: string; readonly line: number } {
    const home =
      this.#homes.get(keyOf(path.slice(0, 2))) ??
      this.#homes.get(keyOf(path.slice(0, 1))) ??
      this.#files.find((file) => isObject(file.value) && String(path[0]) in file.value) ??
      this.#files[0];
    return { file: home?.name ?? '', line: home?.lineOf(path) ?? 1 };
  }

  #share(file: YamlFile, section: string, content: Readonly<Record<string, unknown>>): void {
    const items = this.#shared.get(section) ?? new Map<string, unknown>();
    this.#shared.set(section, items);
    for (const [name, item] of Object.entries(content)) if (this.#claim(file, [section, name])) items.set(name, item);
  }

  /** Notes who brings a section or a name first. */
  #claim(file: YamlFile, path: Path): boolean {
    const first = this.#homes.get(keyOf(path));
    if (first === undefined) {
      this.#homes.set(keyOf(path), file);
      return true;
    }
    const message = `stands in ${first.name}:${first.lineOf(path)} already: one place is expected`;
    this.faults.push({ file: file.name, line: file.lineOf(path), path: path.join('.'), message });
    return false;
  }
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
