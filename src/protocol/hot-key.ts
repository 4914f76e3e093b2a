import { BusError } from './errors.ts';
import { hashKey } from './key-hash.ts';
import { KEY_BYTES_MAX } from './key-parameter.ts';

/** What is told of a key that is read much: its text and three numbers. Its value never leaves the region. */
export interface HotKey {
  readonly key: string;
  readonly readsPerSecond: number;
  /** Milliseconds of its last load that was told of; 0 where none was. */
  readonly loadMs: number;
  /** Of its value; 0 where that is not known. */
  readonly bytes: number;
}

/** Buckets of a family's hot keys: what is published is published by bucket, so that a change of some keys is not a record of all. */
export const HOT_BUCKETS = 256;

/** By the highest bits of the hash: the lowest ones choose the cell. */
export function hotBucketOf(key: string): number {
  return hashKey(key) >>> 24;
}

/** The hot keys of one bucket of a family in a region, hottest first. */
export interface HotBucket {
  readonly family: string;
  readonly bucket: number;
  /** Unix time in milliseconds. */
  readonly atMs: number;
  readonly keys: readonly HotKey[];
}

/** Of a bucket so many bytes are published at most: what is coldest in it is left out. */
const BUCKET_BYTES_MAX = 512 * 1024;
/** A report has so many bytes at most; what a process tells at one time are so many reports at most. */
export const REPORT_BYTES_MAX = 128 * 1024;
export const REPORTS_AT_ONCE_MAX = 8;
/** Reports that the stream holds at most, where no agent takes them: with the longest (`REPORT_BYTES_MAX`) 25 MiB. */
export const REPORTS_MAX = 200;
/** After the last report the stream goes by itself after so long; and since it has a time to live, a `volatile-*` policy may evict it before values. */
export const REPORTS_TTL_MS = 300_000;
/** More than anybody reads or lasts, and a time that a calendar has; less than what would be infinite, added up. */
const AMOUNT_MAX = 1e15;

/** What one process has read in some seconds: a sample, scaled up. */
export interface HotReads {
  readonly process: string;
  readonly seconds: number;
  readonly families: ReadonlyMap<string, FamilyReads>;
}

export interface FamilyReads {
  /** All of them, beside those of the keys below. */
  readonly reads: number;
  readonly keys: readonly HotRead[];
}

export interface HotRead {
  readonly key: string;
  readonly reads: number;
  readonly loadMs: number;
  readonly bytes: number;
}

/**
 * Where the hot keys of regions stand, outside of the regions: so they outlive a region's Redis. Throws `HOT_KEYS_MISSING` where `setup` has not made it,
 * and as the log's driver does.
 */
export interface HotKeyLog {
  /** Puts buckets in the place of what was there; each whole, or not at all. */
  write(region: string, buckets: readonly HotBucket[]): Promise<void>;
  /** Every bucket of a region, as it was written last before the call or since. `skipped` is told of what cannot be read. */
  read(region: string, skipped: (error: BusError) => void): AsyncIterable<HotBucket>;
  close(): Promise<void>;
}

/** The record's key: what is written later under the same one takes its place. */
export function hotBucketName(region: string, { family, bucket }: Pick<HotBucket, 'family' | 'bucket'>): string {
  return `${region}/${family}/${bucket}`;
}

/** Of a report beside its head and families; of a family, beside its name and rows, no more than that. */
const REPORT_BESIDE_BYTES = 10;
const FAMILY_BESIDE_BYTES = 32;

type Row = readonly [key: string, amount: number, loadMs: number, bytes: number];

/** `{"v":1,"r":region,"f":family,"b":bucket,"a":Unix ms,"k":[[key, reads a second, ms of a load, bytes], …]}` */
export function encodeHotBucket(region: string, { family, bucket, atMs, keys }: HotBucket): string {
  const rows: Row[] = [];
  let bytes = 0;
  for (const { key, readsPerSecond, loadMs, bytes: size } of keys) {
    // A character has at most three bytes, and the numbers some.
    bytes += key.length * 3 + 40;
    if (bytes > BUCKET_BYTES_MAX) break;
    rows.push([key, Number(readsPerSecond.toPrecision(4)), Math.round(loadMs), Math.round(size)]);
  }
  return JSON.stringify({ v: 1, r: region, f: family, b: bucket, a: atMs, k: rows });
}

/** Throws `HOT_KEYS_INVALID`. */
export function decodeHotBucket(text: string, at: string): HotBucket & { readonly region: string } {
  const { v, r, f, b, a, k } = objectOf(text, at);
  if (v !== 1 || typeof r !== 'string' || typeof f !== 'string' || !isAmount(a)) throw invalid('a bucket', at);
  if (!Number.isInteger(b) || (b as number) < 0 || (b as number) >= HOT_BUCKETS) throw invalid('a bucket', at);
  const keys = rowsOf(k, at).map(([key, readsPerSecond, loadMs, bytes]) => ({ key, readsPerSecond, loadMs, bytes }));
  return { region: r, family: f, bucket: b as number, atMs: a, keys };
}

/**
 * `{"v":1,"p":process,"s":seconds,"f":{family:[reads,[[key, reads, ms of a load, bytes], …]], …}}`, in as many reports as it takes: the reads of a family
 * are told in the first of its own. Of more than can be told each family is cut at the same rank.
 */
export function encodeHotReads({ process, seconds, families }: HotReads): string[] {
  const head = JSON.stringify({ v: 1, p: process, s: Number(seconds.toFixed(2)) }).slice(0, -1);
  const reports: Report[] = [];
  const told = new Set<string>();
  const longest = Math.max(0, ...[...families.values()].map(({ keys }) => keys.length));
  for (let rank = 0; rank < longest; rank++)
    for (const [family, { reads, keys }] of families) {
      const one = keys[rank];
      if (one === undefined) continue;
      const row = JSON.stringify([one.key, Math.round(one.reads), one.loadMs, one.bytes] satisfies Row);
      const rowBytes = Buffer.byteLength(row) + 1;
      let report = reports.at(-1);
      if (report === undefined || report.bytes + rowBytes + familyBytes(family, report) > REPORT_BYTES_MAX) {
        if (reports.length === REPORTS_AT_ONCE_MAX) return reports.map((each) => textOf(head, each));
        report = { rows: new Map(), bytes: Buffer.byteLength(head) + REPORT_BESIDE_BYTES };
        reports.push(report);
      }
      report.bytes += rowBytes + familyBytes(family, report);
      const known = report.rows.get(family);
      if (known === undefined)
        report.rows.set(family, { reads: told.has(family) ? 0 : Math.round(reads), texts: [row] });
      else known.texts.push(row);
      told.add(family);
    }
  return reports.map((report) => textOf(head, report));
}

/** What has been put into a report, and its length as text. */
interface Report {
  readonly rows: Map<string, { readonly reads: number; readonly texts: string[] }>;
  bytes: number;
}

/** What it takes to begin with a family. */
function familyBytes(family: string, { rows }: Report): number {
  return rows.has(family) ? 0 : Buffer.byteLength(JSON.stringify(family)) + FAMILY_BESIDE_BYTES;
}

function textOf(head: string, { rows }: Report): string {
  const families = [...rows].map(
    ([family, { reads, texts }]) => `${JSON.stringify(family)}:[${reads},[${texts.join(',')}]]`,
  );
  return `${head},"f":{${families.join(',')}}}`;
}

/** Throws `HOT_KEYS_INVALID`. */
export function decodeHotReads(text: string, at: string): HotReads {
  const { v, p, s, f } = objectOf(text, at);
  if (v !== 1 || typeof p !== 'string' || !isAmount(s) || typeof f !== 'object' || f === null)
    throw invalid('a report of reads', at);
  const families = new Map<string, FamilyReads>();
  for (const [family, told] of Object.entries(f)) {
    const [reads, rows] = Array.isArray(told) ? (told as unknown[]) : [];
    if (!isAmount(reads)) throw invalid('a report of reads', at);
    families.set(family, {
      reads,
      keys: rowsOf(rows, at).map(([key, amount, loadMs, bytes]) => ({ key, reads: amount, loadMs, bytes })),
    });
  }
  return { process: p, seconds: s, families };
}

function objectOf(text: string, at: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed as Readonly<Record<string, unknown>>;
  } catch {
    // Told below.
  }
  throw invalid('JSON of ours', at);
}

function rowsOf(rows: unknown, at: string): Row[] {
  if (!Array.isArray(rows)) throw invalid('rows of keys', at);
  return rows.map((row: unknown): Row => {
    const [key, ...numbers] = Array.isArray(row) ? (row as unknown[]) : [];
    if (!isKey(key) || numbers.length !== 3 || !numbers.every(isAmount))
      throw invalid('a row of a key and three numbers', at);
    return [key, numbers[0] as number, numbers[1] as number, numbers[2] as number];
  });
}

/** What no reader can ask for would cost memory for nothing. */
function isKey(value: unknown): value is string {
  if (typeof value !== 'string' || value === '') return false;
  // A character has at most three bytes.
  return value.length * 3 <= KEY_BYTES_MAX || new TextEncoder().encode(value).length <= KEY_BYTES_MAX;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= AMOUNT_MAX;
}

function invalid(expected: string, at: string): BusError {
  return new BusError('HOT_KEYS_INVALID', `What is told of hot keys is not ${expected}.`, { at });
}
