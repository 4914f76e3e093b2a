import { Pool } from 'pg';
import { clientConfig } from './client-config.ts';

/** A pool for loads by a program of ours. A connection that is lost while nobody uses it is made anew by the next who asks. */
export function openPool(
  url: string,
  applicationName: string,
  max: number,
  settings: Readonly<Record<string, string>> = {},
): Pool {
  const pool = new Pool({ ...clientConfig(url, { applicationName, settings }), max });
  pool.on('error', () => undefined);
  return pool;
}
