import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../drivers/postgres/connection.ts';
import { Latencies } from '../latencies.ts';
import { CUSTOMERS, READ_PAGE } from './customers.ts';

const EVERY_MS = 25;

interface Answer {
  readonly dueMs: number;
  readonly tookMs: number;
}

/** What anybody else feels who asks the region's database: a page of any customer, forty times a second, past every cache. */
export class DatabaseProbe {
  readonly #answers: Answer[] = [];

  /** Until the signal. Rejects where the database is away. */
  async run(url: string, signal: AbortSignal): Promise<void> {
    const sql = await connect(url, { applicationName: 'afterwrite-demo-probe' });
    try {
      const beganMs = performance.now();
      for (let asked = 0; !signal.aborted; asked += 1) {
        // From when it was due, not from when the one before had ended: who waits is counted.
        const dueMs = beganMs + asked * EVERY_MS;
        if (dueMs > performance.now())
          await sleep(dueMs - performance.now(), undefined, { signal }).catch(() => undefined);
        await sql.query(READ_PAGE, [1 + ((asked * 7919) % CUSTOMERS)]);
        this.#answers.push({ dueMs, tookMs: performance.now() - dueMs });
      }
    } finally {
      await sql.close();
    }
  }

  /** Milliseconds; null where nothing was asked in between. Times are of `performance.now()`. */
  p99(fromMs: number, toMs: number): number | null {
    const latencies = new Latencies();
    for (const { dueMs, tookMs } of this.#answers) if (dueMs >= fromMs && dueMs < toMs) latencies.add(tookMs);
    return latencies.summary()?.p99 ?? null;
  }
}
