import type { KeyTemplate } from '../protocol/key-template.ts';
import { matcherOf } from '../protocol/key-template.ts';
import { parseSource } from '../protocol/source-template.ts';
import type { Family } from './bus-config.ts';
import { durationMs, durationOrZeroMs } from './duration.ts';
import type { RawFamily, RawFile } from './file-schema.ts';
import { sizeBytes } from './size.ts';
import { shareOf } from './share.ts';
import { listOf, type NoteFault, readRules, readTemplate, shapeOf } from './rules.ts';
import type { Path } from './yaml-file.ts';

export interface FamilyNotes {
  readonly fault: NoteFault;
  readonly warn: NoteFault;
}

const JITTER_DEFAULT = 0.1;
/** Of the time to live. Keys that somebody makes up are as many as he likes, and each takes room. */
const ABSENT_SHARE = 0.1;
const ABSENT_DEFAULT_MAX_MS = 60_000;

/** A family before the rules of its labels are known. */
export type FamilyDraft = Omit<Family, 'ruleHash'>;

/** Reads the families, each with all of its faults. */
export function readFamilies(
  raw: NonNullable<RawFile['families']>,
  bus: { readonly name: string; readonly prefix: string },
  notes: FamilyNotes,
): FamilyDraft[] {
  const families: FamilyDraft[] = [];
  const byShape = new Map<string, string>();
  for (const [name, rawFamily] of Object.entries(raw)) {
    const family = readFamily(name, rawFamily, notes);
    if (family === undefined) continue;
    checkKey(family, byShape, bus, notes.fault);
    families.push(family);
  }
  return families;
}

function readFamily(name: string, raw: RawFamily, { fault, warn }: FamilyNotes): FamilyDraft | undefined {
  const path: Path = ['families', name];
  if (raw.source !== undefined && raw.load === true)
    fault([...path, 'load'], 'two loaders: either source or load is expected, not both');
  if (absentMs(raw) > durationMs(raw.ttl))
    fault([...path, 'absent'], `an absence is kept no longer than a value: at most the ttl, ${raw.ttl}, is expected`);
  for (const key of ['codec', 'compress'] as const)
    if (raw.values === 'plain' && raw[key] !== undefined && raw[key] !== 'json')
      fault(
        [...path, key],
        'plain values are JSON as it is, for readers without this library: no other form is expected',
      );
  const tags = (raw.tags ?? []).flatMap((text, i) => readTemplate(text, [...path, 'tags', i], fault) ?? []);
  const key = readTemplate(raw.key, [...path, 'key'], fault);
  if (key === undefined) return undefined;
  const rules = readRules(raw.on ?? {}, key, [...path, 'on'], fault);
  checkSource(raw.source, key, [...path, 'source'], fault);
  checkLabels(raw.source, tags, [...path, 'tags'], warn);
  warnOfGaps(raw, path, warn);
  return {
    name,
    key,
    ttlMs: durationMs(raw.ttl),
    absentMs: absentMs(raw),
    early: raw.early ?? 0,
    codec: raw.codec ?? 'json',
    compressBytes: raw.compress === undefined ? 0 : sizeBytes(raw.compress),
    version: raw.version ?? 0,
    jitter: raw.jitter === undefined ? JITTER_DEFAULT : shareOf(raw.jitter),
    rules,
    tags,
    source: raw.source,
    isLoadedElsewhere: raw.load === true,
    reads: raw.reads ?? 'primary',
    isList: raw.rows === 'many',
    staleMs: raw.stale === undefined ? 0 : durationMs(raw.stale),
    localMs: raw.local === undefined ? 0 : durationMs(raw.local),
    isPlain: raw.values === 'plain',
    tooStale: raw['too-stale'] ?? 'fail',
    whenChanged: raw['when-changed'] ?? 'evict',
  };
}

function absentMs(raw: RawFamily): number {
  if (raw.absent !== undefined) return durationOrZeroMs(raw.absent);
  return Math.ceil(Math.min(ABSENT_DEFAULT_MAX_MS, durationMs(raw.ttl) * ABSENT_SHARE));
}

function checkKey(
  { name, key }: FamilyDraft,
  byShape: Map<string, string>,
  bus: { readonly name: string; readonly prefix: string },
  fault: NoteFault,
): void {
  const path = ['families', name, 'key'];
  const shape = shapeOf(key);
  const twin = byShape.get(shape);
  if (twin === undefined) byShape.set(shape, name);
  else fault(path, `prints the same keys as family "${twin}": each family needs a template of its own shape`);
  const isOurs =
    `${bus.prefix}${key.text}`.startsWith('afterwrite:') ||
    (bus.prefix === '' && matcherOf(key)(`afterwrite:${bus.name}:agents`));
  if (isOurs)
    fault(path, 'keys that begin with "afterwrite:" are the bus’s own: another beginning is expected, or a prefix');
}

function checkSource(source: string | undefined, key: KeyTemplate, path: Path, fault: NoteFault): void {
  if (source === undefined) return;
  const result = parseSource(source);
  if (result.kind === 'fault') return fault(path, result.fault);
  for (const name of new Set(result.template.parameters)) {
    if (!key.parameters.includes(name))
      fault(path, `{${name}} is no parameter of the key; its parameters: ${listOf(key.parameters)}`);
  }
}

/** A label is printed from columns of the loaded value. A query that selects `*` may have any. */
function checkLabels(source: string | undefined, tags: readonly KeyTemplate[], path: Path, warn: NoteFault): void {
  if (source === undefined || source.includes('*')) return;
  tags.forEach((tag, i) => {
    const missing = tag.parameters.filter((column) => !new RegExp(`\\b${column}\\b`, 'i').test(source));
    if (missing.length > 0)
      warn(
        [...path, i],
        `the label is printed from ${missing.join(', ')} of the loaded value, which the source does not name: select it`,
      );
  });
}

/** What is allowed, but leaves values old for longer than it looks. */
function warnOfGaps(raw: RawFamily, path: Path, warn: NoteFault): void {
  if (Object.keys(raw.on ?? {}).length === 0) {
    if ((raw.tags ?? []).length > 0)
      warn(
        [...path, 'tags'],
        'found by its rows’ labels alone: a row that comes to belong to the entry has put no label on it yet, so nothing makes it old. A rule in `on` is expected (this looks only at whether there is one; the check against the catalog looks at its tables)',
      );
    else warn(path, 'has no rule in `on`: nothing but messages and its ttl makes it old');
  }
  const whenChanged = raw['when-changed'] ?? 'evict';
  if (whenChanged === 'refresh' && raw.source === undefined && raw.load !== true)
    warn(
      [...path, 'when-changed'],
      '"refresh" evicts, since the family has no loader: a `source`, or `load: true` and a worker',
    );
  if (whenChanged === 'expire' && raw.stale === undefined)
    warn(
      [...path, 'when-changed'],
      '"expire" evicts, since the family has no `stale`: how long an old value may be served',
    );
}
