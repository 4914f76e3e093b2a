import type { GateObserver } from '../agent/gate-watch.ts';
import type { AgentObserver, AgentProgress } from '../agent/observe.ts';
import { lsnToPostgres } from '../protocol/lsn.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import { notReady, READY, type Readiness } from '../runtime/health.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { observeRefreshes } from './refresh-observer.ts';

/** An agent whose slowest cell is further behind than this is not ready. */
const STALE_MS = 30_000;

export interface AgentCondition {
  readonly isConnected: boolean;
  readonly progress: AgentProgress | undefined;
}

/** Turns what an agent tells into metrics and log lines, and remembers its condition for readiness. */
export function observeAgent(
  region: string,
  metrics: Metrics,
  log: Logger,
  gate: GateObserver,
): AgentObserver & { readonly current: () => AgentCondition } {
  let isConnected = false;
  let progress: AgentProgress | undefined;
  /** Told once each: what is wrong with one report may be wrong with all. */
  const faults = new Set<string>();
  return {
    current: () => ({ isConnected, progress }),
    connected: () => {
      isConnected = true;
      log.info('connected to the region’s Redis');
    },
    away: (error) => {
      isConnected = false;
      // It holds nothing by now, and others may: what it told last is not to stand.
      metrics.set('afterwrite_agent_cells_owned', 0, { region });
      metrics.unset('afterwrite_agent_staleness_seconds', { region });
      log.warn('the region’s Redis is away; waiting for it', errorFields(error));
    },
    redisAway: (seconds) => metrics.add('afterwrite_agent_redis_away_seconds_total', seconds, { region }),
    took: (cell) => log.debug('took a cell', { cell }),
    gaveUp: (cell, why) => log.debug('gave a cell up', { cell, why }),
    stopped: (cell, error) => log.error('a cell stands still until an operator acts', { cell, ...errorFields(error) }),
    applied: ({ records, items, commitToEvictedSeconds, unlinked, expired, seconds }) => {
      metrics.add('afterwrite_agent_applied_records_total', records, { region });
      metrics.add('afterwrite_agent_evicted_keys_total', unlinked, { region });
      metrics.add('afterwrite_agent_expired_keys_total', expired, { region });
      metrics.observe('afterwrite_agent_apply_seconds', seconds, { region });
      for (const item of items)
        metrics.add('afterwrite_agent_invalidations_total', 1, {
          region,
          scope: item.scope,
          family: item.scope === 'tag' ? '' : item.family,
        });
      for (const age of commitToEvictedSeconds)
        metrics.observe('afterwrite_agent_commit_to_evicted_seconds', age, { region });
    },
    refused: (cell, why) => {
      metrics.add('afterwrite_agent_refused_batches_total', 1, { region, reason: why });
      log.info('a batch was refused', { cell, why });
    },
    epoch: (cell, reason, floor) => {
      metrics.add('afterwrite_agent_new_epochs_total', 1, { region, reason });
      log[reason === 'cold' ? 'info' : 'warn']('a new cell epoch', { cell, reason, floor: lsnToPostgres(floor) });
    },
    deadLetter: (cell, error) => {
      metrics.add('afterwrite_agent_dead_letters_total', 1, { region });
      log.error('a record could not be read; its cell becomes old', { cell, ...errorFields(error) });
    },
    swept: (keys) => metrics.add('afterwrite_agent_swept_keys_total', keys, { region }),
    gate: (now) => gate.gate(now),
    redisChanged: (change) => gate.redisChanged(change),
    gateCold: (epoch, reason) => gate.gateCold(epoch, reason),
    hotReads: (reports, keys) => {
      metrics.add('afterwrite_hot_reads_reports_total', reports, { region });
      for (const [family, known] of keys) metrics.set('afterwrite_hot_keys', known, { region, family });
    },
    hotKeysPublished: (buckets) => metrics.add('afterwrite_hot_keys_published_total', buckets, { region }),
    hotKeysFault: (error) => {
      metrics.add('afterwrite_hot_keys_faults_total', 1, { region, code: error.code });
      log[faults.has(error.code) ? 'debug' : 'warn']('hot keys', errorFields(error));
      faults.add(error.code);
    },
    gateUnfit: (error) => gate.gateUnfit(error),
    ...observeRefreshes(region, metrics, log),
    progress: (now) => {
      progress = now;
      metrics.set('afterwrite_agent_cells_owned', now.owned, { region });
      metrics.set('afterwrite_agent_cells_stopped', now.stopped, { region });
      metrics.set('afterwrite_agent_lag_records', now.lagRecords, { region });
      metrics.set('afterwrite_agent_sweeps_owed', now.sweepsOwed, { region });
      if (now.stalenessMs === null) metrics.unset('afterwrite_agent_staleness_seconds', { region });
      else metrics.set('afterwrite_agent_staleness_seconds', now.stalenessMs / 1000, { region });
      if (now.watermark !== null)
        metrics.set('afterwrite_agent_watermark_lsn_bytes', Number(now.watermark), { region });
      if (now.settledReplica !== null)
        metrics.set('afterwrite_agent_settled_replica_lsn_bytes', Number(now.settledReplica), { region });
    },
  };
}

/** Whether an agent does its work, for the health port. */
export function readiness({ isConnected, progress }: AgentCondition): Readiness {
  if (!isConnected) return notReady('the region’s Redis is away');
  if (progress === undefined) return notReady('nothing is read yet');
  if (progress.stopped > 0) return notReady(`${progress.stopped} cells stand still`);
  if (progress.stalenessMs !== null && progress.stalenessMs > STALE_MS)
    return notReady(`${Math.round(progress.stalenessMs / 1000)} s behind`);
  return READY;
}
