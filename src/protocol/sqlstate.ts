import { BusError, type ErrorCode } from './errors.ts';

/** What was asked when an error came. The same SQLSTATE says other things of a slot than of a stream. */
export type Doing = 'connect' | 'query' | 'slot' | 'stream';

const BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  '42501': 'POSTGRES_PERMISSION',
  '53300': 'POSTGRES_UNREACHABLE', // too many connections, or walsenders
  '55006': 'POSTGRES_SLOT_ACTIVE',
  '55P03': 'POSTGRES_TIMEOUT', // lock_timeout
  '57014': 'POSTGRES_TIMEOUT', // statement_timeout
  '57P01': 'POSTGRES_SHUTDOWN',
  '57P02': 'POSTGRES_CRASHED',
  '57P03': 'POSTGRES_UNREACHABLE', // starts up, recovers or shuts down
  '3D000': 'POSTGRES_AUTHENTICATION', // no such database
};

const BY_CLASS: Readonly<Record<string, ErrorCode>> = {
  '08': 'POSTGRES_UNREACHABLE',
  '28': 'POSTGRES_AUTHENTICATION',
};

const BY_DOING: Readonly<Record<Doing, Readonly<Record<string, ErrorCode>>>> = {
  connect: {},
  query: {},
  slot: { '42704': 'POSTGRES_SLOT_MISSING', '55000': 'POSTGRES_SLOT_INVALIDATED' },
  stream: { '42704': 'POSTGRES_PUBLICATION_MISSING', '55000': 'POSTGRES_SLOT_INVALIDATED' },
};

/** Every SQLSTATE of Postgres has a digit; node's EPIPE, of five letters too, has none. */
const SQLSTATE = /^(?=.*[0-9])[0-9A-Z]{5}$/;

/**
 * Names an error of Postgres, of pg or of the socket by its code; the text is only passed on. An error without SQLSTATE is one of the
 * connection: pg has none of its own for a query that the server answered.
 */
export function classify(error: unknown, doing: Doing, at?: string): BusError {
  if (error instanceof BusError) return error;
  const sqlState = sqlStateOf(error);
  const place = at === undefined ? {} : { at };
  const text = error instanceof Error ? error.message || error.name : String(error);
  if (sqlState === undefined) {
    const code = codeOf(error);
    return new BusError('POSTGRES_UNREACHABLE', code === undefined ? text : `${text} (${code})`, {
      cause: error,
      ...place,
    });
  }
  return new BusError(codeForSqlState(sqlState, doing), `${text} (SQLSTATE ${sqlState})`, { cause: error, ...place });
}

/** Of the moment: the connection, a standby's conflict or a deadlock, resources, what is not ready, who ended it, another server's answer. */
const OF_MOMENT = new Set(['', '08', '25', '26', '28', '40', '53', '55', '57', 'F0', 'HV']);
/** A statement that may not be run so: a standby takes no FOR UPDATE. */
const READ_ONLY = '25006';
/** One that needs more temporary files than it may have. */
const LIMIT_EXCEEDED = '53400';

/**
 * Whose fault an error of a statement is, by the classes of "PostgreSQL Error Codes" in its manual. Functions raise what they like: a class that is not
 * known is the data's.
 */
export function faultOf(sqlState: string): 'statement' | 'data' | 'moment' {
  const ofClass = sqlState.slice(0, 2);
  if (ofClass === '42' || ofClass === '0A' || ofClass === '3F' || sqlState === READ_ONLY) return 'statement';
  return OF_MOMENT.has(ofClass) && sqlState !== LIMIT_EXCEEDED ? 'moment' : 'data';
}

/** The SQLSTATE of an error that the server answered; undefined for any other. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && SQLSTATE.test(code) ? code : undefined;
}

/** What Postgres answered, also where the error has been named by a code of ours since. */
export function answeredSqlState(error: unknown): string | undefined {
  return sqlStateOf(error instanceof BusError ? error.cause : error);
}

function codeForSqlState(sqlState: string, doing: Doing): ErrorCode {
  return (
    BY_DOING[doing][sqlState] ?? BY_SQLSTATE[sqlState] ?? BY_CLASS[sqlState.slice(0, 2)] ?? 'POSTGRES_QUERY_FAILED'
  );
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && code !== '' ? code : undefined;
}
