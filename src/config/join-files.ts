import type { Fault } from './fault.ts';
import type { Path, YamlFile } from './yaml-file.ts';

export interface Joined {
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** The file and line of a path, or of the nearest thing that contains it. */
  readonly placeOf: (path: Path) => { readonly file: string; readonly line: number };
}

/** Sections that files share, by name. Every other may stand in one file only. */
const SHARED = new Set(['families', 'tags', 'regions']);

/** Joins the files of several teams into one. What stands twice is a fault that names both places. */
export function joinFiles(files: readonly YamlFile[]): Joined {
  const value: Record<string, unknown> = {};
  const homes = new Map<string, YamlFile>();
  const faults: Fault[] = [];
  const claim = (file: YamlFile, path: Path): boolean => {
    const key = JSON.stringify(path);
    const first = homes.get(key);
    if (first === undefined) {
      homes.set(key, file);
      return true;
    }
    faults.push({
      file: file.name,
      line: file.lineOf(path),
      path: path.join('.'),
      message: `stands in ${first.name}:${first.lineOf(path)} already`,
    });
    return false;
  };
  for (const file of files) {
    if (!isObject(file.value)) {
      faults.push({
        file: file.name,
        line: 1,
        path: '',
        message: 'a map is expected, with bus, source, log, regions and families',
      });
      continue;
    }
    for (const [section, content] of Object.entries(file.value)) {
      if (SHARED.has(section) && isObject(content)) {
        const whole = (value[section] ??= {}) as Record<string, unknown>;
        for (const [name, item] of Object.entries(content)) if (claim(file, [section, name])) whole[name] = item;
      } else if (claim(file, [section])) value[section] = content;
    }
  }
  const placeOf = (path: Path): { file: string; line: number } => {
    const home = homes.get(JSON.stringify(path.slice(0, 2))) ?? homes.get(JSON.stringify(path.slice(0, 1)));
    if (home !== undefined) return { file: home.name, line: home.lineOf(path) };
    const withSection = files.find((file) => isObject(file.value) && String(path[0]) in file.value) ?? files[0];
    return { file: withSection?.name ?? '', line: withSection?.lineOf(path) ?? 1 };
  };
  return { value, faults, placeOf };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
