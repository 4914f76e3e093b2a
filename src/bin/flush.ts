import type { BufferObserver } from '../buffer/observe.ts';
import { BufferWatch } from '../buffer/buffer-watch.ts';
import { foldOf } from '../buffer/entry.ts';
import { Flusher } from '../buffer/flusher.ts';
import { keyColumns } from '../buffer/key-text.ts';
import { describeLoss } from '../buffer/loss.ts';
import { unfitFor } from '../buffer/server-fit.ts';
import type { BufferConfig, BusConfig } from '../config/bus-config.ts';
import { PostgresBufferSink, type SqlTransaction } from '../drivers/postgres/buffer-sink.ts';
import { LastingConnection } from '../drivers/postgres/lasting-connection.ts';
import { RedisBufferLog } from '../drivers/redis/buffer-log.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import { systemClock } from '../runtime/clock.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Service } from '../runtime/service.ts';
import { observeFlush } from './flush-observer.ts';
import { runProcess } from './process.ts';

/** A batch has megabytes of rows. */
const STATEMENT_TIMEOUT_MS = 60_000;

/** `afterwrite flush`: brings every buffer of the file into Postgres. Any number may run. */
export function runFlush(config: BusConfig): Promise<number> {
  if (config.buffers.size === 0) throw new BusError('SETTING_INVALID', 'The file has no buffers to flush.');
  return runProcess('flush', { bus: config.bus }, async ({ log, metrics, health }): Promise<Service> => {
    const services = [...config.buffers.values()].map((buffer) => {
      const observer = observeFlush(buffer, metrics, log);
      health.register(`buffer ${buffer.name}`, observer.readiness);
      return new FlushService(config, buffer, observer, log);
    });
    return {
      name: 'flush',
      run: async (stop) => void (await Promise.all(services.map((service) => service.run(stop)))),
      drain: async () => void services.map((service) => service.stop()),
    };
  });
}

class FlushService {
  readonly #config: BufferConfig;
  readonly #observer: BufferObserver;
  readonly #log: Logger;
  readonly #streams: RedisBufferLog;
  readonly #source: LastingConnection;
  readonly #bus: string;
  readonly #stopping = new AbortController();

  constructor({ bus, source }: BusConfig, config: BufferConfig, observer: BufferObserver, log: Logger) {
    this.#bus = bus;
    this.#config = config;
    this.#observer = observer;
    this.#log = log;
    const name = `afterwrite-flush-${bus}-${config.name}`;
    this.#streams = new RedisBufferLog({ bus, config, name, unfit: (server) => unfitFor(config, server) });
    this.#source = new LastingConnection({
      url: source.url,
      applicationName: name,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      findsUserNames: true,
    });
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Ends between two batches. An unfit Redis ends the process at its start; later it is reported, and waited for. */
  async run(stop: AbortSignal): Promise<void> {
    const config = this.#config;
    const until = AbortSignal.any([stop, this.#stopping.signal]);
    this.#log.info('flushing a buffer', { buffer: config.name, loss: describeLoss(config.loss) });
    try {
      await this.#streams.ready().catch((error: unknown) => {
        if (!isBusError(error, 'REDIS_UNREACHABLE')) throw error;
      });
      const ports = { log: this.#streams, config, clock: systemClock, random: Math.random, observer: this.#observer };
      const sink = new PostgresBufferSink(transactionsOn(this.#source), {
        bus: this.#bus,
        config,
        keyColumns,
      });
      await checked(sink, this.#log);
      const flusher = new Flusher({ ...ports, sink, fold: foldOf(config.kind) });
      const watch = new BufferWatch(this.#streams, config, this.#observer);
      await Promise.all([flusher.run(until), watch.run(systemClock, until)]);
    } finally {
      await Promise.all([this.#streams.close(), this.#source.close()]);
    }
  }
}

/** What the file says wrong of the database ends the process at its start. A Postgres that is away is waited for, and asked by the first flush. */
async function checked(sink: PostgresBufferSink, log: Logger): Promise<void> {
  try {
    await sink.check();
  } catch (error) {
    if (isBusError(error, 'CONFIG_INVALID') || isBusError(error, 'POSTGRES_PERMISSION')) throw error;
    log.warn('the tables of a buffer could not be looked at', errorFields(error));
  }
}

/** One session, which one flusher has for itself. */
function transactionsOn(source: LastingConnection): SqlTransaction {
  return async (body) => {
    const connection = await source.get();
    await connection.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    try {
      const result = await body((text, values) => connection.query(text, values));
      await connection.query('COMMIT');
      return result;
    } catch (error) {
      // Also after a COMMIT that was refused: the session must not be left inside.
      if (!connection.isLost) await connection.query('ROLLBACK');
      throw error;
    }
  };
}
