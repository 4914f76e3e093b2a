/** Writes pgoutput messages as Postgres does, for tests. Written from the manual's tables, apart from the decoder. */

export type Value = string | null | undefined;
/** A text, null, or undefined for an unchanged TOASTed value. */
export type Row = readonly Value[];

export interface EncodedColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  readonly partOfIdentity: boolean;
}

export interface EncodedRelation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly EncodedColumn[];
}

const IDENTITY = { default: 'd', nothing: 'n', full: 'f', index: 'i' } as const;
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

export function begin(commitLsn: bigint, committedAtMs: number, xid: number): Buffer {
  return Buffer.concat([Buffer.from('B'), int64(commitLsn), timestamp(committedAtMs), int32(xid)]);
}

export function commit(commitLsn: bigint, endLsn: bigint, committedAtMs: number): Buffer {
  return Buffer.concat([Buffer.from('C\0'), int64(commitLsn), int64(endLsn), timestamp(committedAtMs)]);
}

export function relation({ id, schema, name, replicaIdentity, columns }: EncodedRelation): Buffer {
  const head = [
    Buffer.from('R'),
    int32(id),
    text(schema),
    text(name),
    Buffer.from(IDENTITY[replicaIdentity]),
    int16(columns.length),
  ];
  const rest = columns.map((column) =>
    Buffer.concat([
      Buffer.of(column.partOfIdentity ? 1 : 0),
      text(column.name),
      int32(column.typeOid),
      int32(column.typeModifier),
    ]),
  );
  return Buffer.concat([...head, ...rest]);
}

export function insert(relationId: number, row: Row): Buffer {
  return Buffer.concat([Buffer.from('I'), int32(relationId), Buffer.from('N'), tuple(row)]);
}

export function update(relationId: number, old: Row | null, oldKind: 'key' | 'full' | 'none', row: Row): Buffer {
  const oldImage = old === null ? [] : [Buffer.from(oldKind === 'key' ? 'K' : 'O'), tuple(old)];
  return Buffer.concat([Buffer.from('U'), int32(relationId), ...oldImage, Buffer.from('N'), tuple(row)]);
}

export function remove(relationId: number, old: Row, oldKind: 'key' | 'full'): Buffer {
  return Buffer.concat([Buffer.from('D'), int32(relationId), Buffer.from(oldKind === 'key' ? 'K' : 'O'), tuple(old)]);
}

export function truncate(relationIds: readonly number[], cascade: boolean, restartIdentity: boolean): Buffer {
  const options = Buffer.of((cascade ? 1 : 0) | (restartIdentity ? 2 : 0));
  return Buffer.concat([Buffer.from('T'), int32(relationIds.length), options, ...relationIds.map(int32)]);
}

export function message(transactional: boolean, messageLsn: bigint, prefix: string, content: Uint8Array): Buffer {
  const head = [Buffer.from('M'), Buffer.of(transactional ? 1 : 0), int64(messageLsn), text(prefix)];
  return Buffer.concat([...head, int32(content.length), content]);
}

export function origin(originLsn: bigint, name: string): Buffer {
  return Buffer.concat([Buffer.from('O'), int64(originLsn), text(name)]);
}

export function type(typeOid: number, schema: string, name: string): Buffer {
  return Buffer.concat([Buffer.from('Y'), int32(typeOid), text(schema), text(name)]);
}

function tuple(row: Row): Buffer {
  return Buffer.concat([int16(row.length), ...row.map(value)]);
}

function value(value: Value): Buffer {
  if (value === null) return Buffer.from('n');
  if (value === undefined) return Buffer.from('u');
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from('t'), int32(bytes.length), bytes]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, value));
  return bytes;
}

function timestamp(unixMs: number): Buffer {
  return int64(BigInt(unixMs) * 1000n - POSTGRES_EPOCH_MICROS);
}
