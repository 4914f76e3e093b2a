import { Redis, type RedisOptions } from 'ioredis';
import { COMMAND_TIMEOUT_MS, type Settings } from './adapter.ts';

type ClientOptions = Pick<RedisOptions, 'commandTimeout' | 'enableOfflineQueue' | 'maxRetriesPerRequest'>;

/**
 * The best settings are those of ioredis's README, "Connect to Redis" and "Offline Queue", and its API page for RedisOptions:
 * `commandTimeout` fails a command without an answer, `enableOfflineQueue: false` fails one that has no connection to go out on, and
 * `maxRetriesPerRequest` fails one whose connection ended.
 */
export function clientOptions(settings: Settings): ClientOptions {
  if (settings === 'default') return {};
  return { commandTimeout: COMMAND_TIMEOUT_MS, enableOfflineQueue: false, maxRetriesPerRequest: 1 };
}

/** `Client` is for a library that brings another version of ioredis. Connected, since without an offline queue a command before that would fail. */
export async function connect(url: string, options: ClientOptions, Client = Redis): Promise<Redis> {
  const client = new Client(url, options);
  // Without a listener ioredis prints every failed attempt.
  client.on('error', () => undefined);
  if (client.status !== 'ready') await new Promise<void>((resolve) => void client.once('ready', resolve));
  return client;
}
