import type { RefreshObserver } from '../agent/refresh.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';

/** Turns what is told of refreshes, by an agent or a worker, into metrics and log lines. */
export function observeRefreshes(region: string, metrics: Metrics, log: Logger): RefreshObserver {
  return {
    refreshed: (family) => metrics.add('afterwrite_agent_refreshed_keys_total', 1, { region, family }),
    refreshFailed: (family, error) => {
      metrics.add('afterwrite_agent_refreshes_given_up_total', 1, { region, family });
      const why = error === undefined ? { message: 'What was loaded could not be stored.' } : errorFields(error);
      log.warn('a key was not loaded anew; the next reader loads it', { family, ...why });
    },
    refreshesLeft: (family, keys) => {
      metrics.add('afterwrite_agent_refreshes_given_up_total', keys, { region, family });
      log.warn('nobody has loaded keys anew; the next reader loads them', { family, keys });
    },
  };
}
