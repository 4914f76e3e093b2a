import { EPOCH_MARK_PREFIX, printEpochMark } from '../../protocol/epoch-mark.ts';
import type { Source, SourceLook, SourceStream, StreamSink } from '../../relay/from-postgres.ts';
import type { Directory } from '../../relay/relation-directory.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import type { Lsn } from '../../protocol/lsn.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import type { SourceLife } from '../../protocol/source-epoch.ts';
import { readTables, type TableName } from './catalog.ts';
import { LastingConnection } from './lasting-connection.ts';
import { openReplicationStream, relayApplicationName } from './open-stream.ts';
import type { ReplicationStream } from './replication-stream.ts';
import { readRunStartedAtMs } from './server-life.ts';
import { findSlots, onlySlot, type Slot } from './slot.ts';
import { readWholeTables } from './published-tables.ts';
import { refuseSynchronousStandby } from './synchronous-standby.ts';
import { allocateXid, lookAtSource, takeSnapshot } from './snapshot.ts';

export interface PostgresSourceOptions {
  readonly url: string;
  readonly bus: string;
  readonly publication: string;
  readonly slotPrefix: string;
  /** The tables that the rules name. */
  readonly ruleTables: readonly TableName[];
  /** What an answer to SQL may take; by default somewhat more than the statement may. */
  readonly answerTimeoutMs?: number;
}

/** The source database as the relay sees it: a stream on a connection of its own, and SQL on another that lasts. */
export class PostgresSource implements Source {
  readonly #options: PostgresSourceOptions;
  readonly #sql: LastingConnection;
  #stream: ReplicationStream | undefined;
  #crashes = 0;

  constructor(options: PostgresSourceOptions) {
    this.#options = options;
    this.#sql = new LastingConnection({
      url: options.url,
      ...(options.answerTimeoutMs === undefined ? {} : { answerTimeoutMs: options.answerTimeoutMs }),
      applicationName: `${relayApplicationName(options.bus)}-sql`,
      onLost: (reason) => {
        // Only here: a walsender dies of a crash without a word, where other backends send their clients 57P02 first.
        if (isBusError(reason, 'POSTGRES_CRASHED')) this.#crashes += 1;
        if (isBusError(reason, 'POSTGRES_SHUTDOWN')) this.#stream?.expectShutdown();
      },
    });
  }

  get crashes(): number {
    return this.#crashes;
  }

  async open(signal: AbortSignal): Promise<SourceStream> {
    const { url, bus, publication } = this.#options;
    await refuseSynchronousStandby(await this.#sql.get(), relayApplicationName(bus));
    const { name } = await this.#slot();
    const stream = await openReplicationStream({ url, bus, slotName: name, publications: [publication], signal });
    try {
      // Only now is it ours, and nobody else moves it.
      const slot = await this.#slot();
      const postmasterStartedAtMs = await readRunStartedAtMs(await this.#sql.get());
      this.#stream = stream;
      const { systemId, timeline } = stream;
      return new SlotStream(stream, slot, { systemId, timeline, slotIdentity: slot.identity, postmasterStartedAtMs });
    } catch (error) {
      await stream.stop();
      throw error;
    }
  }

  async snapshot(): Promise<Snapshot> {
    return takeSnapshot(await this.#sql.get());
  }

  async look(): Promise<SourceLook> {
    return lookAtSource(await this.#sql.get());
  }

  async allocateXid(): Promise<bigint> {
    return allocateXid(await this.#sql.get());
  }

  async markEpoch(number: number): Promise<void> {
    const content = printEpochMark({ bus: this.#options.bus, number });
    const sql = await this.#sql.get();
    await sql.transaction(async (inside) => {
      // No standby is waited for; the slot does not outlive this server with less.
      await inside.query('SET LOCAL synchronous_commit = local');
      await inside.query('SELECT pg_logical_emit_message(true, $1, $2)', [EPOCH_MARK_PREFIX, content]);
    });
  }

  async directory(): Promise<Directory> {
    const { ruleTables, publication } = this.#options;
    const sql = await this.#sql.get();
    const tables = await readTables(sql, ruleTables);
    const entries = [...tables.entries()].flatMap(([ruleTable, table]) => {
      const isPartitioned =
        table.partitionRoot !== null || table.descendants.length > 0 || table.kind === 'partitioned';
      const all = [table, ...table.descendants];
      const columns = table.columns.filter((column) => !column.isGenerated).map(({ name }) => name);
      return all.map(({ oid, schema, name }) => ({
        oid,
        name: `${schema}.${name}`,
        ruleTable,
        isPartitioned,
        columns,
      }));
    });
    const related = new Set(entries.map(({ oid }) => oid));
    const unrelated = (await readWholeTables(sql, publication)).filter((oid) => !related.has(oid));
    return { entries, unrelated };
  }

  async close(): Promise<void> {
    await this.#sql.close();
  }

  async #slot(): Promise<Slot> {
    const { slotPrefix, publication } = this.#options;
    return onlySlot(await findSlots(await this.#sql.get(), slotPrefix, publication), slotPrefix);
  }
}

class SlotStream implements SourceStream {
  readonly life: SourceLife;
  readonly confirmedLsn: Lsn;
  readonly ended: Promise<'clean' | 'closed'>;
  readonly #stream: ReplicationStream;

  constructor(stream: ReplicationStream, slot: Slot, life: SourceLife) {
    if (slot.confirmedLsn === null)
      throw new BusError('POSTGRES_SLOT_INVALIDATED', `The slot ${slot.name} has no position.`);
    this.#stream = stream;
    this.life = life;
    this.confirmedLsn = slot.confirmedLsn;
    this.ended = stream.ended;
  }

  start(sink: StreamSink): void {
    this.#stream.start(sink);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  confirm(received: Lsn, flush: Lsn): void {
    this.#stream.confirm({ write: received, flush });
  }

  requestKeepalive(): void {
    this.#stream.requestKeepalive();
  }

  async stop(): Promise<void> {
    await this.#stream.stop();
  }
}
