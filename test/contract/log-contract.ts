import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { IncomingRecord, LogReader, RecordHandler } from '../../src/agent/from-log.ts';
import { type LogWriter, PARTITION_BYTES_MAX } from '../../src/relay/to-log.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { eventually } from '../support/eventually.ts';

/** A broker that comes back elects its leaders anew, and clients find that out by and by. */
const AWAY_DEADLINE_MS = 60_000;

/** A real or a false log, as the contract needs it. */
export interface LogUnderTest {
  readonly partitions: number;
  openWriter(): Promise<LogWriter>;
  openReader(handler: RecordHandler): Promise<LogReader>;
  /** Drops what is below an offset, as retention does; undefined where that cannot be forced. */
  readonly trim: ((partition: number, first: number) => Promise<void>) | undefined;
  /** The server does not answer, until `comeBack`. It loses nothing. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** Takes the server away for good, so that a send fails. */
  breakDown(): Promise<void>;
  close(): Promise<void>;
}

class Received {
  readonly byPartition = new Map<number, IncomingRecord[]>();
  readonly handler: RecordHandler = (partition, records) => {
    const list = this.byPartition.get(partition) ?? [];
    this.byPartition.set(partition, [...list, ...records]);
  };

  of(partition: number): readonly IncomingRecord[] {
    return this.byPartition.get(partition) ?? [];
  }

  values(partition: number): string[] {
    return this.of(partition).map(({ value }) => value);
  }

  clear(): void {
    this.byPartition.clear();
  }
}

/** What both ports promise, tried on one log. Each test has a partition of its own. */
export function describeLog(name: string, open: () => Promise<LogUnderTest>): void {
  describe(name, () => {
    let log: LogUnderTest;
    let writer: LogWriter;
    let reader: LogReader;
    const received = new Received();

    before(async () => {
      log = await open();
      writer = await log.openWriter();
      reader = await log.openReader(received.handler);
    });

    after(async () => {
      await reader?.close();
      await writer?.close();
      await log?.close();
    });

    const send = (partition: number, ...values: string[]): Promise<void> =>
      writer.send(values.map((value) => ({ partition, value })));
    const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `v${n}`);

    test('an empty log has no last records, and its bounds are equal', async () => {
      assert.equal(writer.partitions, log.partitions);
      assert.equal(reader.partitions, log.partitions);
      assert.deepEqual(
        await writer.lastRecords(new AbortController().signal),
        Array.from({ length: log.partitions }, () => null),
      );
      for (const { first, next } of await reader.bounds()) assert.equal(first, next);
    });

    test('what is sent is delivered in order, each offset once, counted from 0', async () => {
      await reader.take(0, 0);
      await send(0, ...numbered(500));
      for (let n = 500; n < 600; n++) await send(0, `v${n}`);
      await eventually('600 records', () => received.of(0).length >= 600);
      assert.deepEqual(received.values(0), numbered(600));
      assert.deepEqual(
        received.of(0).map(({ offset }) => offset),
        Array.from({ length: 600 }, (_, n) => n),
      );
    });

    test('one send reaches many partitions, and the last record of each can be asked for', async () => {
      const records = Array.from({ length: log.partitions }, (_, partition) => ({ partition, value: `p${partition}` }));
      await writer.send(records);
      assert.deepEqual(
        await writer.lastRecords(new AbortController().signal),
        records.map(({ value }) => value),
      );
    });

    test('a partition that is not taken delivers nothing; one that is released delivers no more', async () => {
      await reader.take(2, 1);
      await send(2, 'a');
      await eventually('delivered', () => received.of(2).length === 1);
      reader.release(2);
      await send(2, 'b', 'c');
      await send(0, 'beside');
      await eventually('another partition goes on', () => received.values(0).includes('beside'));
      assert.deepEqual(received.values(2), ['a']);
      assert.deepEqual(received.values(1), []);
    });

    test('taking begins at any offset: the beginning, the middle, the end; beyond the end nothing comes', async () => {
      const { next } = (await reader.bounds())[3] ?? { next: 0 };
      await send(3, ...numbered(10));
      for (const skipped of [0, 5, 9]) {
        received.clear();
        await reader.take(3, next + skipped);
        await eventually('delivered', () => received.of(3).length >= 10 - skipped);
        assert.deepEqual(received.values(3), numbered(10).slice(skipped));
      }
      received.clear();
      await reader.take(3, next + 1000);
      await send(3, 'v10');
      await send(0, 'beyond');
      await eventually('another partition goes on', () => received.values(0).includes('beyond'));
      assert.deepEqual(received.values(3), []);
      assert.equal((await reader.bounds())[3]?.next, next + 11);
      reader.release(3);
    });

    test('taking again, in the middle of a flood, delivers nothing that was fetched before', async () => {
      const { next } = (await reader.bounds())[4] ?? { next: 0 };
      const flood = Array.from({ length: 3000 }, (_, n) => `${n}`);
      for (let first = 0; first < 3000; first += 500) await send(4, ...flood.slice(first, first + 500));
      await reader.take(4, next);
      for (const turn of [700, 100, 2000, 0, 1500]) {
        await eventually('a part of the flood', () => received.of(4).length > 0);
        await reader.take(4, next + turn);
        received.byPartition.delete(4);
        await eventually('the rest of the flood', () => received.of(4).length >= 3000 - turn);
        assert.deepEqual(received.values(4), flood.slice(turn), `from ${turn}`);
        await reader.take(4, next);
        received.byPartition.delete(4);
      }
      reader.release(4);
    });

    test('a paused partition goes on where it was', async () => {
      const { next } = (await reader.bounds())[5] ?? { next: 0 };
      await reader.take(5, next);
      await send(5, 'one');
      await eventually('delivered', () => received.of(5).length === 1);
      reader.pause(5);
      await send(5, 'two', 'three');
      reader.resume(5);
      await eventually('delivered', () => received.of(5).length === 3);
      assert.deepEqual(received.values(5), ['one', 'two', 'three']);
    });

    test('what was trimmed is gone: reading from there begins at the first that is left', async (t) => {
      const { next } = (await reader.bounds())[1] ?? { next: 0 };
      await send(1, ...numbered(20));
      if (log.trim === undefined) return t.diagnostic('this log trims by itself only');
      await log.trim(1, next + 12);
      assert.equal((await reader.bounds())[1]?.first, next + 12);
      received.clear();
      await reader.take(1, next);
      await eventually('the rest', () => received.of(1).length >= 8);
      assert.deepEqual(
        received.of(1).map(({ offset }) => offset),
        Array.from({ length: 8 }, (_, n) => next + 12 + n),
      );
      reader.release(1);
    });

    test('a thousand records go in one send, with as many bytes as the relay ever sends at once', async () => {
      const { next } = (await reader.bounds())[0] ?? { next: 0 };
      const size = Math.floor((PARTITION_BYTES_MAX * log.partitions) / 1000);
      await writer.send(
        Array.from({ length: 1000 }, (_, n) => ({ partition: n % log.partitions, value: 'x'.repeat(size) })),
      );
      assert.equal((await reader.bounds())[0]?.next, next + Math.ceil(1000 / log.partitions));
    });

    test('while the log is away sends fail with a code; nothing that it took is lost, and the reader goes on without a gap', async () => {
      const { next } = (await reader.bounds())[2] ?? { next: 0 };
      received.byPartition.delete(2);
      await reader.take(2, next);
      await send(2, 'seen');
      await eventually('delivered', () => received.of(2).length === 1);
      await send(2, 'taken, and away');
      await log.goAway();
      await assert.rejects(send(2, 'while away'), isBusError);
      await assert.rejects(send(2, 'while away'), /dead/);
      await log.comeBack();
      await writer.close();
      writer = await eventually('a writer opens', () => log.openWriter().catch(() => undefined), AWAY_DEADLINE_MS);
      await send(2, 'afterwards');
      await eventually('the reader goes on', () => received.values(2).includes('afterwards'), AWAY_DEADLINE_MS);
      // What was reported failed may have landed, once and at any place behind what was acknowledged before.
      const certain = received.values(2).filter((value) => value !== 'while away');
      assert.deepEqual(certain, ['seen', 'taken, and away', 'afterwards']);
      assert.deepEqual(
        received.of(2).map(({ offset }) => offset),
        received.of(2).map((_, n) => next + n),
      );
      await eventually('bounds are told again', () => reader.bounds().catch(() => undefined), AWAY_DEADLINE_MS);
      reader.release(2);
    });

    test('a failed send rejects with a code, and after it the writer is dead', async () => {
      await reader.close();
      await log.breakDown();
      await assert.rejects(send(0, 'lost'), isBusError);
      await assert.rejects(send(0, 'after'), /dead/);
    });
  });
}
