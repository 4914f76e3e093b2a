import type { BufferConfig, BufferTarget } from './bus-config.ts';
import type { RawBuffer } from './buffer-schema.ts';
import { durationMs } from './duration.ts';
import { type NoteFault, readTable } from './rules.ts';
import type { Path } from './yaml-file.ts';

const DEFAULTS = {
  windowMaxMs: 50,
  flushEveryMs: 1000,
  entriesMax: 1_000_000,
  bytesMax: 1 << 28,
  partitions: 8,
  column: 'count',
};

/** By default the alarm comes when so many flushes have not come about. */
const DISK_LOSS_FLUSHES = 10;

/** Reads the buffers, each with all of its faults. */
export function readBuffers(raw: Readonly<Record<string, RawBuffer>>, fault: NoteFault): Map<string, BufferConfig> {
  const buffers = new Map<string, BufferConfig>();
  for (const [name, one] of Object.entries(raw)) {
    const buffer = readBuffer(name, one, fault);
    if (buffer !== undefined) buffers.set(name, buffer);
  }
  return buffers;
}

function readBuffer(name: string, raw: RawBuffer, fault: NoteFault): BufferConfig | undefined {
  const path: Path = ['buffers', name];
  checkColumns(raw, path, fault);
  const target = readTarget(raw, path, fault);
  const processMs = durationMs(raw.loss.process);
  const windowMs =
    raw.window === undefined
      ? Math.max(1, Math.min(DEFAULTS.windowMaxMs, Math.floor(processMs / 2)))
      : durationMs(raw.window);
  if (windowMs > processMs)
    fault(
      [...path, 'window'],
      `gathers calls for ${windowMs} ms, and a process may lose ${processMs} ms of them: a shorter window is expected, or a longer loss.process`,
    );
  const flushEveryMs = raw.flushEvery === undefined ? DEFAULTS.flushEveryMs : durationMs(raw.flushEvery);
  const diskMs = raw.loss.disk === undefined ? flushEveryMs * DISK_LOSS_FLUSHES : durationMs(raw.loss.disk);
  if (diskMs < flushEveryMs)
    fault(
      [...path, 'loss', 'disk'],
      `is shorter than flushEvery (${flushEveryMs} ms): what is not flushed yet is always that old`,
    );
  if (target === undefined) return undefined;
  return {
    name,
    redis: raw.redis,
    kind: raw.kind,
    key: raw.key,
    columns: raw.kind === 'counter' ? [] : (raw.columns ?? []),
    target,
    windowMs,
    flushEveryMs,
    loss: { processMs, redisMs: raw.loss.redis === 'none' ? 0 : durationMs(raw.loss.redis), diskMs },
    whenFull: raw.whenFull ?? 'block',
    entriesMax: raw.maxEntries ?? DEFAULTS.entriesMax,
    bytesMax: raw.maxBytes ?? DEFAULTS.bytesMax,
    partitions: raw.partitions ?? DEFAULTS.partitions,
  };
}

function checkColumns(raw: RawBuffer, path: Path, fault: NoteFault): void {
  const columns = [...raw.key, ...(raw.columns ?? []), ...(raw.kind === 'counter' ? [raw.column ?? 'n'] : [])];
  const twice = columns.find((column, i) => columns.indexOf(column) !== i);
  if (twice !== undefined) fault([...path, 'key'], `names ${twice} twice: each column is expected once`);
  if (raw.kind === 'counter' && raw.columns !== undefined)
    fault([...path, 'columns'], 'belongs to kind: buffer; a counter has one column');
  if (raw.kind === 'buffer' && raw.column !== undefined)
    fault([...path, 'column'], 'belongs to kind: counter; a buffer has columns');
  if (raw.kind === 'buffer' && raw.columns === undefined)
    fault([...path, 'columns'], 'the columns of a row are expected, such as columns: [name, seen_at]');
}

function readTarget(raw: RawBuffer, path: Path, fault: NoteFault): BufferTarget | undefined {
  if ((raw.table === undefined) === (raw.statement === undefined)) {
    fault(path, 'exactly one of table and statement is expected');
    return undefined;
  }
  if (raw.statement !== undefined) {
    for (const field of ['column', 'rows'] as const)
      if (raw[field] !== undefined) fault([...path, field], 'belongs to a table, and the statement says all by itself');
    return { kind: 'statement', text: raw.statement };
  }
  const table = readTable(raw.table ?? '');
  if (table === undefined) {
    fault([...path, 'table'], `"${raw.table}" is no table: a name is expected, or schema.name`);
    return undefined;
  }
  return { kind: 'table', table, column: raw.column ?? DEFAULTS.column, makesRows: (raw.rows ?? 'make') === 'make' };
}
