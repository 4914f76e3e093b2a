import { redactUrls } from '../protocol/redact.ts';
import type { BusConfig } from './bus-config.ts';

/** The config as it may be shown: no password in it, maps as plain objects. */
export function redacted(config: BusConfig): unknown {
  const { log } = config;
  const sasl = log.kind === 'kafka' && log.sasl !== undefined ? { sasl: { ...log.sasl, password: '***' } } : {};
  return plain({ ...config, log: { ...log, ...sasl } });
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return redactUrls(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value;
}
