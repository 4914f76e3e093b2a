import { randomBytes } from 'node:crypto';
import { openReplicationStream } from '../../src/drivers/postgres/open-stream.ts';
import type { ReplicationStream } from '../../src/drivers/postgres/replication-stream.ts';
import { connect, type Connection } from '../../src/drivers/postgres/connection.ts';
import { createSlotSql } from '../../src/drivers/postgres/slot.ts';
import type { Lsn } from '../../src/protocol/lsn.ts';
import { callSink, type DecodedCall } from './decoded-call.ts';
import { eventually } from './eventually.ts';

export type Keepalive = {
  readonly call: 'keepalive';
  readonly walEnd: Lsn;
  readonly serverTimeMs: number;
  readonly replyRequested: boolean;
};

type OnKeepalive = (walEnd: Lsn, stream: ReplicationStream) => void;

/** A stream whose calls are kept, from a slot and a publication of its own. */
export class RecordedStream {
  readonly calls: (DecodedCall | Keepalive)[] = [];
  readonly stream: ReplicationStream;
  /** Called within the stream's own calls. */
  onCall: (call: DecodedCall) => void = () => undefined;

  constructor(stream: ReplicationStream, onKeepalive: OnKeepalive = () => undefined) {
    this.stream = stream;
    stream.start({
      ...callSink((call) => {
        this.calls.push(call);
        this.onCall(call);
      }),
      keepalive: (walEnd, serverTimeMs, replyRequested) => {
        this.calls.push({ call: 'keepalive', walEnd, serverTimeMs, replyRequested });
        onKeepalive(walEnd, stream);
      },
    });
    // A test that ends the stream on purpose looks at `ended` itself.
    stream.ended.catch(() => undefined);
  }

  /** Waits until so many transactions have been committed in the stream, and returns what changed rows in them. */
  async changes(transactions: number): Promise<DecodedCall[]> {
    await eventually(`${transactions} transactions`, () => this.count('commit') >= transactions);
    return this.calls.filter((call): call is DecodedCall =>
      ['insert', 'update', 'delete', 'truncate', 'message'].includes(call.call),
    );
  }

  /** Waits until the contents of the logical messages are such, and returns them. */
  async messages(areDone: (contents: readonly string[]) => boolean): Promise<string[]> {
    const contents = (): string[] => this.calls.flatMap((call) => (call.call === 'message' ? [call.content] : []));
    await eventually('the messages', () => areDone(contents()));
    return contents();
  }

  count(call: (DecodedCall | Keepalive)['call']): number {
    return this.calls.filter((each) => each.call === call).length;
  }
}

/** A schema, a publication of tables in it, and a slot, on a server that other tests use too. */
export class SourceFixture {
  readonly schema: string;
  readonly slotName: string;
  readonly sql: Connection;
  readonly url: string;
  readonly #streams: RecordedStream[] = [];

  constructor(sql: Connection, url: string, name: string) {
    this.sql = sql;
    this.url = url;
    this.schema = name;
    this.slotName = `${name}_slot`;
  }

  /** Runs the statements, each by itself, in the fixture's schema. */
  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await this.sql.query(statement);
  }

  async publish(...tables: readonly string[]): Promise<void> {
    await this.run(
      `CREATE PUBLICATION ${this.schema}_pub FOR TABLE ${tables.join(', ')}`,
      createSlotSql(this.slotName, 0),
    );
  }

  async stream(onKeepalive?: OnKeepalive): Promise<RecordedStream> {
    const { url, slotName, schema } = this;
    const publications = [`${schema}_pub`];
    const recorded = new RecordedStream(
      await openReplicationStream({ url, bus: schema, slotName, publications }),
      onKeepalive,
    );
    this.#streams.push(recorded);
    return recorded;
  }

  /** Ends the streams and the session, and lets the server forget what the slot held back. */
  async close(): Promise<void> {
    await Promise.all(this.#streams.map(({ stream }) => stream.stop()));
    await this.slotsAreFree();
    await this.run(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name, '${this.schema}')`,
    );
    await this.sql.close();
  }

  /** Waits until no walsender holds a slot of the fixture: one goes on for a moment after its connection has ended. */
  async slotsAreFree(): Promise<void> {
    const text = 'SELECT 1 FROM pg_replication_slots WHERE active AND starts_with(slot_name, $1)';
    await eventually('the slots are free', async () => (await this.sql.query(text, [this.schema])).length === 0);
  }

  async confirmedLsn(): Promise<string> {
    const text = 'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1';
    const [row] = await this.sql.query<{ lsn: string }>(text, [this.slotName]);
    return row?.lsn ?? '';
  }
}

/** Makes a schema that the session finds its tables in. */
export async function sourceFixture(url: string): Promise<SourceFixture> {
  const name = `t${randomBytes(4).toString('hex')}`;
  const sql = await connect(url, { applicationName: name });
  await sql.query(`CREATE SCHEMA ${name}`);
  await sql.query(`SET search_path = ${name}`);
  return new SourceFixture(sql, url, name);
}
