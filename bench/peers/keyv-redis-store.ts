import KeyvRedis, { createKeyvNonBlocking } from '@keyv/redis';
import { Keyv } from 'keyv';
import { COMMAND_TIMEOUT_MS, type Settings } from './adapter.ts';

/**
 * The Redis store of the two libraries that stand on Keyv.
 *
 * default: `new KeyvRedis(url)`, as both READMEs begin.
 *
 * best: `createKeyvNonBlocking`, README of cacheable, "Non-Blocking with @keyv/redis": by default "it causes hangs and blocking". The options
 * that it is said to set are given as well, since it sets them on a client that is built already. `commandOptions.timeout` is node-redis's
 * deadline a command (its docs/client-configuration.md), which ends once the command is written, whether or not it is answered
 * (https://github.com/redis/node-redis/pull/3008). `socketTimeout` would end connections that merely have nothing to do.
 */
export function redisStore(redisUrl: string, settings: Settings): Keyv {
  const store =
    settings === 'default'
      ? new Keyv({ store: new KeyvRedis(redisUrl) })
      : createKeyvNonBlocking({
          url: redisUrl,
          disableOfflineQueue: true,
          socket: { reconnectStrategy: false },
          commandOptions: { timeout: COMMAND_TIMEOUT_MS },
        });
  // "Gracefully Handling Errors and Timeouts" in the README of @keyv/redis.
  store.on('error', () => undefined);
  return store;
}
