import type { BufferObserver } from '../buffer/observe.ts';
import type { BufferConfig } from '../config/bus-config.ts';
import { notReady, READY, type Readiness } from '../runtime/health.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';

const UNSEEN = 'nothing was looked at yet';

/** Turns what a flusher tells of one buffer into metrics and log lines, and remembers whether it does its work. */
export function observeFlush(
  { name: buffer, loss }: BufferConfig,
  metrics: Metrics,
  log: Logger,
): BufferObserver & { readonly readiness: () => Readiness } {
  let failure: string | undefined = UNSEEN;
  const isFailing = { flush: false, depth: true };
  metrics.set('afterwrite_buffer_loss_seconds', loss.processMs / 1000, { buffer, by: 'process' });
  metrics.set('afterwrite_buffer_loss_seconds', loss.redisMs / 1000, { buffer, by: 'redis' });
  metrics.set('afterwrite_buffer_loss_seconds', loss.diskMs / 1000, { buffer, by: 'disk' });
  metrics.set('afterwrite_buffer_behind', 0, { buffer });
  const works = (doing: 'flush' | 'depth'): void => {
    isFailing[doing] = false;
    if (!isFailing.flush && !isFailing.depth) failure = undefined;
  };
  return {
    readiness: () => (failure === undefined ? READY : notReady(failure)),
    depth: ({ entries, bytes, oldestMs }) => {
      works('depth');
      metrics.set('afterwrite_buffer_entries', entries, { buffer });
      metrics.set('afterwrite_buffer_bytes', bytes, { buffer });
      metrics.set('afterwrite_buffer_oldest_seconds', oldestMs / 1000, { buffer });
    },
    behind: (_, is, ageMs) => {
      metrics.set('afterwrite_buffer_behind', is === 'raised' ? 1 : 0, { buffer });
      if (is === 'raised') log.error('more may be lost than the file names', { buffer, oldestMs: Math.round(ageMs) });
      else log.info('no more may be lost than the file names', { buffer });
    },
    looked: () => works('flush'),
    flushed: ({ plan, rows, refused, unmatched, seconds }) => {
      metrics.add('afterwrite_buffer_flushed_batches_total', plan.fresh, { buffer });
      metrics.add('afterwrite_buffer_repeated_batches_total', plan.repeated, { buffer });
      metrics.add('afterwrite_buffer_flushed_rows_total', rows, { buffer });
      metrics.add('afterwrite_buffer_refused_rows_total', refused, { buffer });
      metrics.add('afterwrite_buffer_unmatched_rows_total', unmatched, { buffer });
      metrics.observe('afterwrite_buffer_flush_seconds', seconds, { buffer });
      if (refused > 0) log.error('rows were refused; they stand in afterwrite_refused', { buffer, refused });
    },
    // A flusher takes no calls.
    refused: () => undefined,
    wroteThrough: () => undefined,
    failed: (doing, error) => {
      const isNew = !isFailing[doing] || failure === UNSEEN;
      isFailing[doing] = true;
      failure = `${doing} fails: ${error instanceof Error ? error.message : String(error)}`;
      if (doing === 'flush') metrics.add('afterwrite_buffer_flush_failures_total', 1, { buffer });
      if (doing === 'flush' || isNew) log.warn(`a buffer’s ${doing} fails`, { buffer, ...errorFields(error) });
    },
  };
}
