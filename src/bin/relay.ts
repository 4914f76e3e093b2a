import type { BusConfig } from '../config/bus-config.ts';
import { type CatalogVerdict, checkCatalog, ruleTables } from '../config/catalog-check.ts';
import { readTables } from '../drivers/postgres/catalog.ts';
import { connect } from '../drivers/postgres/connection.ts';
import { PostgresSource } from '../drivers/postgres/source.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import { Relay } from '../relay/relay.ts';
import { backoffMs } from '../runtime/backoff.ts';
import { systemClock } from '../runtime/clock.ts';
import { notReady, READY } from '../runtime/health.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Service } from '../runtime/service.ts';
import { openWriter } from './log.ts';
import { runProcess } from './process.ts';
import { observeRelay } from './relay-observer.ts';

const BACKOFF = { firstMs: 200, maxMs: 5000 };

/** `afterwrite relay`. */
export function runRelay(config: BusConfig): Promise<number> {
  return runProcess('relay', { bus: config.bus }, async ({ log, metrics, health }) => {
    const observer = observeRelay(metrics, log);
    health.register('relay', () => {
      const { state, why } = observer.current();
      // A relay that stands by is as it should be: it is ready to take over.
      return state === 'streaming' || state === 'standby' ? READY : notReady(`${state}: ${why}`);
    });
    return new RelayService(config, log, observer);
  });
}

/** The relay behind the check of the catalog, which waits for a database that is away and refuses a file that does not fit it. */
class RelayService implements Service {
  readonly name = 'relay';
  readonly #config: BusConfig;
  readonly #log: Logger;
  readonly #observer: ReturnType<typeof observeRelay>;
  readonly #draining = new AbortController();
  #relay: Relay | undefined;

  constructor(config: BusConfig, log: Logger, observer: ReturnType<typeof observeRelay>) {
    this.#config = config;
    this.#log = log;
    this.#observer = observer;
  }

  async run(stop: AbortSignal): Promise<void> {
    const config = this.#config;
    const verdict = await this.#checked(AbortSignal.any([stop, this.#draining.signal]));
    if (verdict === undefined) return;
    const { publication, slotPrefix, url } = config.source;
    const source = new PostgresSource({
      url,
      bus: config.bus,
      publication,
      slotPrefix,
      ruleTables: ruleTables(config),
    });
    const ports = { source, openLog: () => openWriter(config), clock: systemClock, observer: this.#observer };
    this.#relay = new Relay(
      ports,
      { config, parameterTypes: verdict.parameterTypes, ruleTexts: verdict.ruleTexts },
      Math.random,
    );
    try {
      await this.#relay.run(stop);
    } finally {
      await source.close();
    }
  }

  async drain(): Promise<void> {
    this.#draining.abort();
    await this.#relay?.drain();
  }

  async #checked(until: AbortSignal): Promise<CatalogVerdict | undefined> {
    for (let failures = 0; !until.aborted; failures++) {
      try {
        return await readVerdict(this.#config, this.#log, until);
      } catch (error) {
        if (until.aborted) return undefined;
        if (!isBusError(error) || error.retry === 'operator' || error.retry === 'never') throw error;
        this.#observer.state('starting', `${error.code}: ${error.message}`);
        this.#log.warn('the source cannot be asked yet', errorFields(error));
        await systemClock.sleep(backoffMs(failures, BACKOFF, Math.random), until);
      }
    }
    return undefined;
  }
}

async function readVerdict(config: BusConfig, log: Logger, signal: AbortSignal): Promise<CatalogVerdict> {
  const sql = await connect(config.source.url, { applicationName: `afterwrite-relay-${config.bus}-check`, signal });
  try {
    const verdict = checkCatalog(config, await readTables(sql, ruleTables(config)));
    for (const warning of verdict.warnings) log.warn('the catalog', { ...warning });
    if (verdict.faults.length === 0) return verdict;
    throw new BusError('CONFIG_INVALID', verdict.faults.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  } finally {
    await sql.close();
  }
}
