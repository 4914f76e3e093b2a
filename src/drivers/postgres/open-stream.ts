import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Client } from 'pg';
import { BusError } from '../../protocol/errors.ts';
import { LSN_ZERO, type Lsn, lsnToPostgres } from '../../protocol/lsn.ts';
import { classify } from '../../protocol/sqlstate.ts';
import { clientConfig, placeOf } from './client-config.ts';
import { Frames } from './frames.ts';
import { Cursor } from './pgoutput/cursor.ts';
import { type OpenedSession, ReplicationStream } from './replication-stream.ts';
import { readServerError, ServerMessage } from './server-message.ts';
import { quoteIdentifier, quoteLiteral } from './sql-text.ts';

/** A relay that has vanished frees its slot after this long. */
const WAL_SENDER_TIMEOUT_MS = 10_000;
/** A mark of one byte: a paused socket takes one block more and then leaves the rest to the kernel. */
const SOCKET_OPTIONS = { allowHalfOpen: false, readableHighWaterMark: 1 };
/** From the first byte to the server's agreement. */
const OPEN_TIMEOUT_MS = 20_000;

/** By which `synchronous_standby_names` and `pg_stat_replication` know a bus's relay. */
export function relayApplicationName(bus: string): string {
  return `afterwrite-relay-${bus}`;
}

export interface StreamOptions {
  readonly url: string;
  readonly bus: string;
  readonly slotName: string;
  readonly publications: readonly string[];
  /** Where to begin, if that is beyond what the slot has confirmed. Default: there. */
  readonly start?: Lsn;
  readonly signal?: AbortSignal;
}

/**
 * Takes the slot and begins its stream, which is paused until `start`. pg makes the connection (TLS, log-in) and steps aside: its parser
 * makes a view, an object and two events of each message.
 *
 * Throws POSTGRES_SLOT_ACTIVE while another process holds the slot, POSTGRES_SLOT_MISSING, POSTGRES_SLOT_INVALIDATED,
 * POSTGRES_AUTHENTICATION, POSTGRES_PERMISSION or POSTGRES_UNREACHABLE.
 */
export async function openReplicationStream(options: StreamOptions): Promise<ReplicationStream> {
  const at = placeOf(options.url);
  const client = new Client(replicationConfig(options));
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  client.on('error', (error) => lost.reject(classify(error, 'connect', at)));
  const deadline = AbortSignal.timeout(OPEN_TIMEOUT_MS);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  const abort = (): void => {
    const message = deadline.aborted ? `No stream within ${OPEN_TIMEOUT_MS} ms.` : 'The attempt was stopped.';
    lost.reject(new BusError('POSTGRES_UNREACHABLE', message, { at }));
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) abort();
    const stream = new ReplicationStream(await Promise.race([begin(client, options, at), lost.promise]));
    client.removeAllListeners('error');
    client.on('error', (error) => stream.lost(error));
    return stream;
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function replicationConfig({ url, bus }: StreamOptions): ConstructorParameters<typeof Client>[0] {
  const settings = { wal_sender_timeout: `${WAL_SENDER_TIMEOUT_MS}ms` };
  const config = clientConfig(url, { applicationName: relayApplicationName(bus), settings });
  return Object.assign(config, { stream: () => new Socket(SOCKET_OPTIONS), replication: 'database' });
}

async function begin(client: Client, options: StreamOptions, at: string): Promise<OpenedSession> {
  let encoding = '';
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
    if (parameterName === 'server_encoding') encoding = parameterValue;
  });
  await client.connect().catch((error: unknown) => {
    throw classify(error, 'connect', at);
  });
  if (encoding === 'SQL_ASCII') await passBytes(client, at);
  const { systemid, timeline } = await identify(client, at);
  const socket = client.connection.stream;
  // Between two commands the server is silent, so pg's parser holds no part of a message.
  socket.removeAllListeners('data');
  const frames = new Frames();
  client.connection.query(startCommand(options));
  const held = await agreement(socket, frames, at);
  return { socket, frames, held, systemId: systemid, timeline, at, walSenderTimeoutMs: WAL_SENDER_TIMEOUT_MS };
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/**
 * A database of encoding SQL_ASCII holds any bytes. Asked for UTF-8, as pg asks, the server would end the stream at the first row that is none,
 * again and again. Unconverted, such a value can be told, and widens.
 */
async function passBytes(client: Client, at: string): Promise<void> {
  await client.query(`SET client_encoding = 'SQL_ASCII'`).catch((error: unknown) => {
    throw classify(error, 'query', at);
  });
}

async function identify(client: Client, at: string): Promise<{ readonly systemid: string; readonly timeline: number }> {
  try {
    const { rows } = await client.query<{ systemid: string; timeline: number | string }>('IDENTIFY_SYSTEM');
    const [row] = rows;
    if (row === undefined) throw new BusError('POSTGRES_QUERY_FAILED', 'IDENTIFY_SYSTEM gave no row.', { at });
    // From PostgreSQL 16 on the timeline is a bigint, which pg gives as text.
    return { systemid: row.systemid, timeline: Number(row.timeline) };
  } catch (error) {
    throw classify(error, 'query', at);
  }
}

function startCommand({ slotName, publications, start }: StreamOptions): string {
  const names = quoteLiteral(publications.map(quoteIdentifier).join(','));
  const from = lsnToPostgres(start ?? LSN_ZERO);
  const options = `proto_version '1', publication_names ${names}, messages 'true'`;
  return `START_REPLICATION SLOT ${quoteIdentifier(slotName)} LOGICAL ${from} (${options})`;
}

/** Waits for the answer to START_REPLICATION and stops reading there. Returns what came in the same block. */
function agreement(socket: Duplex, frames: Frames, at: string): Promise<{ type: number; body: Buffer }[]> {
  const agreed = Promise.withResolvers<{ type: number; body: Buffer }[]>();
  const held: { type: number; body: Buffer }[] = [];
  let isAgreed = false;
  const take = (type: number, bytes: Buffer, start: number, end: number): void => {
    if (isAgreed) held.push({ type, body: Buffer.from(bytes.subarray(start, end)) });
    if (type === ServerMessage.copyBoth) isAgreed = true;
    if (type !== ServerMessage.error) return;
    const cursor = new Cursor();
    cursor.open(bytes, start, end);
    agreed.reject(classify(readServerError(cursor), 'slot', at));
  };
  const read = (block: Buffer): void => {
    try {
      frames.push(block, take);
    } catch (error) {
      agreed.reject(error);
    }
    if (!isAgreed) return;
    socket.pause();
    socket.removeListener('data', read);
    agreed.resolve(held);
  };
  socket.on('data', read);
  return agreed.promise;
}
