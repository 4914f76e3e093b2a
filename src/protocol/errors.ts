/**
 * Every error that a user of Afterwrite can meet, by code. The manual's page docs/ERRORS.md is generated from this table.
 *
 * `retry` says what the program does about it:
 *   retry     the same step again, with back-off
 *   reset     the attempt ends; a new one starts from what is stored
 *   operator  nothing goes on until a person acts; the process says so and exits, or stays not ready
 *   never     the request itself is wrong
 */
export type RetryDirective = 'retry' | 'reset' | 'operator' | 'never';

interface ErrorEntry {
  readonly retry: RetryDirective;
  /** What happened, in a line. */
  readonly summary: string;
  /** What the operator does about it. */
  readonly hint: string;
}

export const ERRORS = {
  LSN_INVALID: {
    retry: 'never',
    summary: 'A text or number is not an LSN.',
    hint: 'Compare the value with pg_current_wal_lsn().',
  },
  CONFIG_INVALID: {
    retry: 'never',
    summary: 'The file afterwrite.yaml has faults.',
    hint: 'Each fault names its path and line and says what would be right: `afterwrite config check`.',
  },
  SETTING_INVALID: {
    retry: 'never',
    summary: 'An option or environment variable is missing or wrong.',
    hint: 'Run the program with --help.',
  },
  KEY_PARAMETER_INVALID: {
    retry: 'never',
    summary: 'A key parameter has no canonical form.',
    hint: 'Pass a value of the type of the column that the parameter stands for.',
  },
  RECORD_INVALID: {
    retry: 'operator',
    summary: 'A record of the log cannot be read.',
    hint: 'Nothing but the relay may write to the topic. Look at the record named by partition and offset.',
  },
  RECORD_VERSION_UNKNOWN: {
    retry: 'operator',
    summary: 'A record is of a version that this agent does not know.',
    hint: 'Upgrade the agents first, then the relay.',
  },
  PGOUTPUT_MALFORMED: {
    retry: 'reset',
    summary: 'A message of the replication stream does not follow the pgoutput protocol.',
    hint: 'Check that nothing between relay and Postgres changes the stream; report the message printed.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An operating failure with a code. Broken invariants are plain errors and end the process. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly code: ErrorCode;
  /** Where it happened: a file and line, a partition and offset, a relation, a Redis key. */
  readonly at: string | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly at?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.at = options.at;
  }

  get retry(): RetryDirective {
    return ERRORS[this.code].retry;
  }

  get hint(): string {
    return ERRORS[this.code].hint;
  }
}

export function isBusError(error: unknown, code?: ErrorCode): error is BusError {
  return error instanceof BusError && (code === undefined || error.code === code);
}
