import type { RelayObserver, RelayState } from '../relay/observe.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';

/** Turns what the relay tells into metrics and log lines, and remembers its state for readiness. */
export function observeRelay(
  metrics: Metrics,
  log: Logger,
): RelayObserver & { readonly current: () => { state: RelayState; why: string } } {
  let current: { state: RelayState; why: string } = { state: 'starting', why: 'not connected yet' };
  const unrouted = new Set<string>();
  return {
    current: () => current,
    state: (state, why) => {
      if (state !== current.state) log.info('state', { state, why });
      current = { state, why };
      metrics.set('afterwrite_relay_streaming', state === 'streaming' ? 1 : 0);
    },
    epoch: ({ epoch, change }) => {
      if (change === 'none') log.info('the source epoch goes on', { ...epoch });
      else log.warn('a new source epoch', { change, ...epoch });
    },
    attemptEnded: (outcome, error) => {
      metrics.add('afterwrite_relay_attempts_total', 1, { outcome });
      const fields = error === undefined ? {} : errorFields(error);
      const isStandby = fields['code'] === 'POSTGRES_SLOT_ACTIVE';
      if (outcome === 'failed' && !isStandby) log.warn('an attempt failed', fields);
      else if (!isStandby) log.info('an attempt ended', { outcome });
    },
    transaction: () => metrics.add('afterwrite_relay_transactions_total'),
    change: (op) => metrics.add('afterwrite_relay_changes_total', 1, { op }),
    invalidation: (scope, family) => metrics.add('afterwrite_relay_invalidations_total', 1, { scope, family }),
    widened: (reason, table, family) => {
      metrics.add('afterwrite_relay_widened_total', 1, { reason, family });
      log.debug('widened', { reason, table, family });
    },
    unrouted: (relations) => {
      metrics.set('afterwrite_relay_unrouted_relations', relations.length);
      for (const relation of relations) {
        if (!unrouted.has(relation)) log.warn('no rule names a published relation', { relation });
        unrouted.add(relation);
      }
    },
    messageFault: (fault) => {
      metrics.add('afterwrite_relay_message_faults_total');
      log.warn('an application message could not be understood, and was widened', { fault });
    },
    sent: (records, bytes, seconds) => {
      metrics.add('afterwrite_relay_records_sent_total', records);
      metrics.add('afterwrite_relay_sent_bytes_total', bytes);
      metrics.observe('afterwrite_relay_send_seconds', seconds);
    },
    progress: (progress) => {
      metrics.set('afterwrite_relay_received_lsn_bytes', Number(progress.received));
      metrics.set('afterwrite_relay_settled_lsn_bytes', Number(progress.settled));
      metrics.set('afterwrite_relay_confirmed_lsn_bytes', Number(progress.confirmed));
      metrics.set('afterwrite_relay_unsettled_transactions', progress.unsettledTransactions);
      metrics.set('afterwrite_relay_pending_items', progress.pendingItems);
    },
  };
}
