import { BusError } from '../../protocol/errors.ts';
import type { Sql } from './connection.ts';

/** `FIRST 2 (a, "b")`, `ANY 1 (*)`, `2 (a, b)` or a bare list: what stands before the names. */
const METHOD = /^\s*(?:(?:FIRST|ANY)\s+)?\d+\s*\((.*)\)\s*$/is;
const NAME = /"(?:[^"]|"")*"|[^\s,"]+/g;

/** Whether commits would wait for a walsender of this name: "synchronous_standby_names" in Postgres's manual. Case does not matter there. */
export function isSynchronousStandby(synchronousStandbyNames: string, applicationName: string): boolean {
  const list = METHOD.exec(synchronousStandbyNames)?.[1] ?? synchronousStandbyNames;
  return [...list.matchAll(NAME)].some(([token]) => {
    const name = token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
    // Quoted or not, a star stands for every name.
    return name === '*' || name.toLowerCase() === applicationName.toLowerCase();
  });
}

/**
 * Refuses to be waited for: every commit of the application would then take as long as the log, and hang while that is away. Throws
 * POSTGRES_SYNCHRONOUS_STANDBY.
 */
export async function refuseSynchronousStandby(sql: Sql, applicationName: string): Promise<void> {
  const text = `SELECT current_setting('synchronous_standby_names') AS names`;
  const [row] = await sql.query<{ names: string }>(text);
  if (!isSynchronousStandby(row?.names ?? '', applicationName)) return;
  const message = `synchronous_standby_names (${row?.names}) takes the relay, ${applicationName}, for a synchronous standby.`;
  throw new BusError('POSTGRES_SYNCHRONOUS_STANDBY', message);
}
