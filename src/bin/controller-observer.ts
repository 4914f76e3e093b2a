import type { Act } from '../controller/act.ts';
import { isLeftCold } from '../controller/decide.ts';
import type { ControllerObserver } from '../controller/observe.ts';
import { errorFields, type LogFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';

/** Turns what a controller tells into metrics and log lines. */
export function observeController(
  metrics: Metrics,
  log: Logger,
): ControllerObserver & { readonly failure: () => string | undefined } {
  let failure: string | undefined;
  return {
    /** Why the last look, or the last try at the lease, came to nothing. */
    failure: () => failure,
    leading: (token) => {
      metrics.set('afterwrite_controller_leading', 1);
      failure = undefined;
      log.info('leading', { token });
    },
    following: (holder) => {
      metrics.set('afterwrite_controller_leading', 0);
      log.info('standing by', { holder });
    },
    electionFailed: (error) => {
      failure = textOf(error);
      log.warn('the leader lease cannot be read or renewed', errorFields(error));
    },
    looked: ({ gates, jobs, seconds, undone }) => {
      const former = failure;
      failure = undone === undefined ? undefined : textOf(undone);
      // Counted for as long as it is so, and said once.
      if (undone !== undefined && failure !== former) log.warn('a look left something undone', errorFields(undone));
      metrics.add('afterwrite_controller_looks_total', 1, { outcome: 'done' });
      if (undone !== undefined) metrics.add('afterwrite_controller_looks_total', 1, { outcome: 'failed' });
      metrics.observe('afterwrite_controller_look_seconds', seconds);
      for (const [region, gate] of gates) {
        metrics.set('afterwrite_controller_gate_readable', gate.kind === 'unreachable' ? 0 : 1, { region });
        metrics.set('afterwrite_controller_warmup_failed', isLeftCold(region, gate, jobs) ? 1 : 0, { region });
      }
    },
    lookFailed: (error) => {
      failure = textOf(error);
      metrics.add('afterwrite_controller_looks_total', 1, { outcome: 'failed' });
      log.warn('a look failed', errorFields(error));
    },
    acted: (act, outcome, error) => {
      metrics.add('afterwrite_controller_acts_total', 1, { act: act.kind, outcome });
      if (outcome === 'failed') log.warn('an act failed', { act: act.kind, ...subject(act), ...errorFields(error) });
      // What is said again and again is said by the server once.
      else if (act.kind !== 'say') log.info('acted', { act: act.kind, outcome, ...subject(act) });
    },
    watchEnded: (reason, error) => {
      metrics.add('afterwrite_controller_watch_ends_total', 1, { reason });
      log.debug('a watch ended', { reason, ...(error === undefined ? {} : errorFields(error)) });
    },
  };
}

function subject(act: Act): LogFields {
  switch (act.kind) {
    case 'create':
      return { region: act.order.region, job: act.order.name };
    case 'delete':
    case 'expire':
      return { region: act.job.region, job: act.job.name };
    case 'open':
      return { region: act.region };
    case 'say':
      return { reason: act.notice.reason, job: act.notice.job.name };
    case 'admit':
      return { region: act.pod.region, pod: act.pod.name, isAdmitted: act.admission.isAdmitted };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
