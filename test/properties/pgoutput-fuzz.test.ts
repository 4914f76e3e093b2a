import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { PgoutputDecoder } from '../../src/drivers/postgres/pgoutput/decoder.ts';
import type { ChangeSink, Relation } from '../../src/drivers/postgres/pgoutput/messages.ts';
import type { Tuple } from '../../src/drivers/postgres/pgoutput/tuple.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { CAPTURED } from '../support/pgoutput-captured.ts';
import * as encode from '../support/pgoutput-encoder.ts';
import { seeded } from '../support/seeded.ts';

const INPUTS = 1_000_000;
/** No input is longer than a few hundred bytes, so no call can have reason to take this long. */
const SLOWEST_MS = 2000;
const HEAP_GROWTH_BYTES_MAX = 64 * 1024 * 1024;

const corpus: Buffer[] = [...CAPTURED.postgres15, ...CAPTURED.postgres18].map((hex) => Buffer.from(hex, 'hex'));
corpus.push(
  encode.relation({ id: 1, schema: '', name: 'x', replicaIdentity: 'nothing', columns: [] }),
  encode.insert(1, []),
  encode.message(true, 2n, '', Buffer.alloc(0)),
  encode.truncate([], true, true),
);

const relations = corpus.filter((message) => message[0] === 0x52);

/** A decoder that knows the corpus's tables and mostly stands inside a transaction, so that what is spoilt is read deep. */
function prepared(sink: ChangeSink, chance: (below: number) => number): PgoutputDecoder {
  const decoder = new PgoutputDecoder(sink);
  if (chance(8) === 0) return decoder;
  for (const message of relations) decoder.decode(message);
  if (chance(4) > 0) decoder.decode(encode.begin(1n, 0, 7));
  return decoder;
}

/** Reads every view that it is handed, as a router would. */
class ReadingSink implements ChangeSink {
  accepted = 0;
  begin(): void {
    this.accepted += 1;
  }
  relation(relation: Relation): void {
    this.accepted += relation.columns.length;
  }
  insert(_relation: Relation, row: Tuple): void {
    this.#read(row);
  }
  update(_relation: Relation, old: Tuple | null, _oldKind: string, row: Tuple): void {
    if (old !== null) this.#read(old);
    this.#read(row);
  }
  delete(_relation: Relation, old: Tuple): void {
    this.#read(old);
  }
  truncate(relations: readonly Relation[]): void {
    this.accepted += relations.length;
  }
  message(_transactional: boolean, _messageLsn: bigint, _prefix: string, content: Buffer): void {
    this.accepted += content.length;
  }
  commit(): void {
    this.accepted += 1;
  }
  #read(row: Tuple): void {
    for (let column = 0; column < row.columnCount; column += 1) {
      if (row.kind(column) === 'text') this.accepted += row.text(column).length;
    }
  }
}

/** Spoils one message, in a copy: flips, cuts, joins, overwrites a length, or makes noise. */
function spoil(message: Buffer, chance: (below: number) => number): Buffer {
  const other = corpus[chance(corpus.length)] ?? message;
  const copy = Buffer.from(message);
  switch (chance(6)) {
    case 0:
      for (let flips = chance(4); flips >= 0; flips -= 1) copy[chance(copy.length)]! ^= 1 << chance(8);
      return copy;
    case 1:
      return copy.subarray(0, chance(copy.length + 1));
    case 2:
      return Buffer.concat([copy.subarray(0, chance(copy.length + 1)), other.subarray(chance(other.length))]);
    case 3: {
      const lengths = [0, 1, -1, 0x7fff_ffff, -0x8000_0000, 0xffff, copy.length, chance(0x10000)];
      if (copy.length > 4) copy.writeInt32BE(lengths[chance(lengths.length)] ?? 0, chance(copy.length - 4));
      return copy;
    }
    case 4:
      return Buffer.from(Array.from({ length: chance(64) }, () => chance(256)));
    default:
      copy[0] = other[0] ?? 0;
      return copy;
  }
}

test('survives a million spoilt messages: it returns or throws its own coded error, soon, and keeps nothing', (t) => {
  // Method: a decoder that knows some tables gets sound and spoilt messages, goes on after errors though nobody should, and is now and then replaced.
  const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
  const chance = seeded(seed);
  const sink = new ReadingSink();
  let decoder = prepared(sink, chance);
  let refused = 0;
  let slowestMs = 0;
  const heapBefore = process.memoryUsage().heapUsed;
  for (let input = 0; input < INPUTS; input += 1) {
    const message = corpus[chance(corpus.length)] ?? Buffer.alloc(0);
    const bytes = chance(4) === 0 ? message : spoil(message, chance);
    const startedAtMs = performance.now();
    try {
      decoder.decode(bytes);
    } catch (error) {
      assert.ok(isBusError(error, 'PGOUTPUT_MALFORMED'), `seed ${seed}, input ${input}: ${String(error)}`);
      refused += 1;
      if (chance(20) === 0) decoder = prepared(sink, chance);
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
  }
  t.diagnostic(`seed ${seed}: ${refused} of ${INPUTS} refused, slowest ${slowestMs.toFixed(1)} ms`);
  assert.ok(slowestMs < SLOWEST_MS, `seed ${seed}: one message took ${slowestMs} ms`);
  const grownBytes = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(grownBytes < HEAP_GROWTH_BYTES_MAX, `seed ${seed}: the heap grew by ${grownBytes} bytes`);
  assert.ok(refused > INPUTS / 4 && sink.accepted > INPUTS / 4, `seed ${seed}: too few were refused or read`);
});
