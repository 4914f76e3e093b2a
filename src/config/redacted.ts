import { redactUrls } from '../protocol/redact.ts';
import type { BusConfig } from './bus-config.ts';

/** The config as it may be shown: no password in it, maps as plain objects. */
export function redacted(config: BusConfig): unknown {
  return plain(config);
}

function plain(value: unknown, name = ''): unknown {
  if (name === 'password') return '***';
  if (typeof value === 'string') return redactUrls(value);
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item, String(key))]));
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, key)]));
  return value;
}
