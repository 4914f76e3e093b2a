import type { Duplex } from 'node:stream';
import { BusError } from '../../protocol/errors.ts';
import type { Lsn } from '../../protocol/lsn.ts';
import { BurstReader } from './burst-reader.ts';
import { classify } from '../../protocol/sqlstate.ts';
import { Frames } from './frames.ts';
import { Cursor } from './pgoutput/cursor.ts';
import { PgoutputDecoder } from './pgoutput/decoder.ts';
import type { ChangeSink } from './pgoutput/messages.ts';
import { CopyMessage, readServerError, ServerMessage, XLOG_DATA_HEADER_BYTES } from './server-message.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusReporter } from './status-reporter.ts';

/** From the first sign of a shutdown to our closing: `pg_ctl stop` waits for us meanwhile. */
const SHUTDOWN_GRACE_MS = 1000;
/** Between two answers to a server that shuts down and asks again at each answer. */
const SHUTDOWN_ANSWER_EVERY_MS = 20;
/** What `stop` waits for the server to let go of the slot. */
const STOP_TIMEOUT_MS = 1000;
/** A status goes out at least this often, however long the server would wait. */
const STATUS_EVERY_MS_MAX = 10_000;
/** A server that says nothing for this long, although asked, is gone. Decoding one large transaction may keep it silent for a while. */
const SILENCE_MAX_MS = 60_000;

const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]); // X

export interface StreamHandlers extends ChangeSink {
  /** Outside BEGIN..COMMIT, everything that ends at or below `walEnd` has been sent. */
  keepalive(walEnd: Lsn, serverTimeMs: number, replyRequested: boolean): void;
  /** After all messages of what was read in one go. */
  blockEnd?(): void;
}

/** A session that the server has agreed to, before anything of it was read. */
export interface OpenedSession {
  readonly socket: Duplex;
  readonly frames: Frames;
  /** Messages that came in one block with the agreement. */
  readonly held: readonly { readonly type: number; readonly body: Buffer }[];
  readonly systemId: string;
  readonly timeline: number;
  /** Host, port and database, for messages. */
  readonly at: string;
  readonly walSenderTimeoutMs: number;
}

/**
 * One replication session, from the server's agreement to the end. Handlers are called from within the socket's events and must not
 * wait. What they throw ends the session.
 *
 *     start    changes are read from here on; before, the session is only kept alive
 *     confirm  remembered; told to the server at once if it asks, within a second of progress, and by a timer
 *     ended    'clean' when the server ended the copy in order, 'closed' after `stop`; else it rejects with a coded error
 */
export class ReplicationStream {
  readonly systemId: string;
  readonly timeline: number;
  readonly #ended = Promise.withResolvers<'clean' | 'closed'>();
  readonly #closed: Promise<void>;
  readonly #session: OpenedSession;
  readonly #socket: Duplex;
  readonly #reader: BurstReader;
  readonly #status: StatusReporter;
  readonly #shutdown: ShutdownWatch;
  readonly #cursor = new Cursor();
  readonly #silenceTimer: NodeJS.Timeout;
  #shutdownTimer: NodeJS.Timeout | undefined;
  #answerTimer: NodeJS.Timeout | undefined;
  #handlers: StreamHandlers | undefined;
  #decoder: PgoutputDecoder | undefined;
  #heardAtMs = performance.now();
  #isShutdownExpected = false;
  #isOver = false;

  constructor(session: OpenedSession) {
    this.systemId = session.systemId;
    this.timeline = session.timeline;
    this.#session = session;
    this.#socket = session.socket;
    this.#closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#ended.promise.catch(() => undefined);
    const everyMs = Math.min(session.walSenderTimeoutMs / 3, STATUS_EVERY_MS_MAX);
    this.#status = new StatusReporter({
      write: (bytes) => this.#socket.write(bytes),
      everyMs,
      monotonicMs: () => performance.now(),
    });
    this.#shutdown = new ShutdownWatch(session.walSenderTimeoutMs / 8);
    this.#reader = new BurstReader(this.#socket);
    this.#silenceTimer = setInterval(() => this.#checkSilence(everyMs), everyMs);
  }

  get ended(): Promise<'clean' | 'closed'> {
    return this.#ended.promise;
  }

  /** Begins to read. Call it once. */
  start(handlers: StreamHandlers): void {
    if (this.#isOver) return;
    this.#handlers = handlers;
    this.#decoder = new PgoutputDecoder(handlers);
    this.#heardAtMs = performance.now();
    this.#socket.on('data', (block: Buffer) => this.#read(block));
    // Flows from the next tick on, so what was held comes first, and a handler that pauses there is heard.
    this.#reader.release();
    this.#guard(() => {
      for (const { type, body } of this.#session.held) this.#take(type, body, 0, body.length);
    });
  }

  /** Reads no more after the present block, until `resume`. The session stays alive. */
  pause(): void {
    this.#reader.hold();
  }

  resume(): void {
    this.#heardAtMs = performance.now();
    this.#reader.release();
  }

  /** `flush` is what Postgres may forget: an end LSN. It never goes back. `write` is the highest LSN received. */
  confirm({ write, flush }: { readonly write: Lsn; readonly flush: Lsn }): void {
    if (this.#isOver) return;
    this.#status.confirm(write, flush);
    if (this.#shutdown.isShuttingDown && this.#status.hasProgress) this.#status.sendNow();
  }

  /** Asks for a keepalive: it brings the end of the server's WAL and its clock. Pace it: each is a round trip. */
  requestKeepalive(): void {
    if (!this.#isOver) this.#status.sendNow(true);
  }

  /** Tells the server what was last confirmed, and lets go of the slot. Resolves once the server has closed, or after a second. */
  async stop(): Promise<void> {
    if (!this.#isOver) {
      this.#status.sendNow();
      this.#finish();
      this.#socket.write(TERMINATE);
      this.#socket.resume();
      this.#ended.resolve('closed');
    }
    const giveUp = setTimeout(() => this.#socket.destroy(), STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(giveUp);
  }

  /** Another connection has learned that the server shuts down: a paused stream would not hear of it, and hold it up. */
  expectShutdown(): void {
    if (!this.#isOver) this.#shutdownTimer ??= setTimeout(() => this.#giveWay(), SHUTDOWN_GRACE_MS);
    this.#isShutdownExpected = true;
  }

  /** The connection broke: what pg or the socket says. After the end it is no news. */
  lost(error: unknown): void {
    if (this.#shutdown.isShuttingDown || this.#isShutdownExpected)
      this.#fail(this.#shutdownError('The server closed the connection.'));
    else this.#fail(classify(error, 'stream', this.#session.at));
  }

  #read(block: Buffer): void {
    if (this.#isOver) return;
    this.#heardAtMs = performance.now();
    this.#guard(() => {
      this.#session.frames.push(block, this.#take);
      this.#handlers?.blockEnd?.();
    });
    if (!this.#isOver) this.#reader.took(block.length);
  }

  readonly #take = (type: number, bytes: Buffer, start: number, end: number): void => {
    if (this.#isOver) return;
    switch (type) {
      case ServerMessage.copyData:
        return this.#copyData(bytes, start, end);
      case ServerMessage.copyDone:
      case ServerMessage.commandComplete:
        return this.#clean();
      case ServerMessage.error:
        this.#cursor.open(bytes, start, end);
        return this.#fail(classify(readServerError(this.#cursor), 'stream', this.#session.at));
      case ServerMessage.notice:
        return this.#notice(bytes, start, end);
      default:
        return undefined;
    }
  };

  #copyData(bytes: Buffer, start: number, end: number): void {
    const cursor = this.#cursor;
    cursor.open(bytes, start, end);
    if (bytes[start] === CopyMessage.xlogData) {
      const payload = start + XLOG_DATA_HEADER_BYTES;
      if (payload > end) throw cursor.malformed('the header of XLogData');
      this.#shutdown.change();
      return this.#decoder?.decode(bytes, payload, end);
    }
    if (cursor.uint8('a tag') !== CopyMessage.keepalive) throw cursor.malformed('XLogData or a keepalive', start);
    const walEnd = cursor.lsn('the end of the WAL');
    const serverTimeMs = cursor.timestampMs("the server's clock");
    const replyRequested = cursor.uint8('whether a reply is requested') === 1;
    this.#handlers?.keepalive(walEnd, serverTimeMs, replyRequested);
    if (replyRequested) this.#answer(walEnd);
  }

  /** Answers at once, but for the server that shuts down: it asks again at each answer. */
  #answer(walEnd: Lsn): void {
    this.#shutdown.asked(walEnd, performance.now());
    if (!this.#shutdown.isShuttingDown) return this.#status.sendNow();
    this.#shutdownTimer ??= setTimeout(() => this.#giveWay(), SHUTDOWN_GRACE_MS);
    this.#answerTimer ??= setTimeout(() => {
      this.#answerTimer = undefined;
      this.#status.sendNow();
    }, SHUTDOWN_ANSWER_EVERY_MS);
  }

  #giveWay(): void {
    this.#shutdownTimer = undefined;
    if (!this.#shutdown.isShuttingDown && !this.#isShutdownExpected) return;
    this.#fail(this.#shutdownError('The server shuts down and waits for what cannot be confirmed yet.'));
  }

  #shutdownError(message: string): BusError {
    return new BusError('POSTGRES_SHUTDOWN', message, { at: this.#session.at });
  }

  /** From PostgreSQL 18 on, a missing publication is only a warning (55000), and its changes are silently left out. */
  #notice(bytes: Buffer, start: number, end: number): void {
    this.#cursor.open(bytes, start, end);
    const notice = readServerError(this.#cursor);
    if (notice.code !== '55000') return;
    const { at } = this.#session;
    this.#fail(new BusError('POSTGRES_PUBLICATION_MISSING', `${notice.message} (SQLSTATE 55000)`, { at }));
  }

  #checkSilence(everyMs: number): void {
    const silentMs = performance.now() - this.#heardAtMs;
    if (this.#handlers === undefined || this.#reader.isHeld || silentMs < everyMs) return;
    if (silentMs < SILENCE_MAX_MS) return this.requestKeepalive();
    const { at } = this.#session;
    this.#fail(new BusError('POSTGRES_UNREACHABLE', `Nothing was heard for ${Math.round(silentMs)} ms.`, { at }));
  }

  #guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#fail(error);
    }
  }

  #clean(): void {
    this.#finish();
    this.#socket.end();
    this.#ended.resolve('clean');
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket.destroy();
    this.#ended.reject(error);
  }

  #finish(): void {
    this.#isOver = true;
    this.#status.stop();
    this.#reader.stop();
    clearInterval(this.#silenceTimer);
    clearTimeout(this.#shutdownTimer);
    clearTimeout(this.#answerTimer);
  }
}
