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
  READ_TOKEN_INVALID: {
    retry: 'never',
    summary: 'A read token cannot be read.',
    hint: 'Pass it on as `afterWrite` returned it.',
  },
  SOURCE_INVALID: {
    retry: 'never',
    summary: 'The source of a family cannot be made into a query.',
    hint: 'The message says what stands in the text. A source is one SELECT; {name} outside of quotes and comments is a parameter of the key.',
  },
  SOURCE_ROWS_UNEXPECTED: {
    retry: 'never',
    summary: 'The source of a family gave more than one row, where one is a value.',
    hint: 'Write `rows: many` into the family, or a condition that finds one row.',
  },
  POSTGRES_POOL_INVALID: {
    retry: 'never',
    summary: 'What was passed as a pool is none, or one that is needed was not passed.',
    hint: 'Pass pools of pg: createCache({ postgres: { primary: new Pool(…), replica: new Pool(…) } }). A single client would make every load wait for the one before.',
  },
  POSTGRES_POOL_MISDIRECTED: {
    retry: 'operator',
    summary: 'A pool leads to another kind of server, or to another database, than its name says.',
    hint: '`primary` must lead to the server that takes writes, and `replica` to a standby of that server and the same database.',
  },
  POSTGRES_IN_TRANSACTION: {
    retry: 'never',
    summary: 'A transaction is open on the session that was given.',
    hint: 'COMMIT first: what is read inside a transaction may be older than it looks, and its own writes can still be taken back.',
  },
  REPLICA_UNFIT: {
    retry: 'operator',
    summary: 'The replica cannot say how far it has replayed, so that nothing read there can be stored.',
    hint: 'A streaming standby and a user with pg_read_all_stats are needed; readers of Aurora share storage and replay nothing: use `reads: primary` there.',
  },
  WRITE_ROLLED_BACK: {
    retry: 'never',
    summary: 'A write was taken back by Postgres, though its work returned.',
    hint: 'Let the error of a statement go through the work, or put the statement behind a SAVEPOINT: after an error a transaction takes nothing more.',
  },
  WRITE_OUTCOME_UNKNOWN: {
    retry: 'never',
    summary: 'Nobody knows whether a write was committed. Its key was evicted.',
    hint: 'Look whether the write is there before it is tried again. Where the work ended the transaction itself: leave COMMIT and ROLLBACK to `write`.',
  },
  READ_TOKEN_UNREACHED: {
    retry: 'retry',
    summary: 'No server that could be asked has seen what the read token demands.',
    hint: 'Pass a pool of the primary too. If it is there, it leads to a standby or to a former primary.',
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
  POSTGRES_UNREACHABLE: {
    retry: 'retry',
    summary: 'There is no connection to Postgres, or it broke.',
    hint: 'Check host, port and network, that the server is up, and that it has connections to spare (max_connections, max_wal_senders).',
  },
  POSTGRES_AUTHENTICATION: {
    retry: 'operator',
    summary: 'Postgres refuses the log-in.',
    hint: 'Check user, password and database of the URL, and pg_hba.conf; the relay also needs the attribute REPLICATION.',
  },
  POSTGRES_PERMISSION: {
    retry: 'operator',
    summary: 'The Postgres user lacks a privilege.',
    hint: 'Grant what the message names: `afterwrite doctor` lists the commands.',
  },
  POSTGRES_SHUTDOWN: {
    retry: 'reset',
    summary: 'Postgres shuts down, or an administrator ended the connection.',
    hint: 'Nothing is lost: the relay goes on when the server is back.',
  },
  POSTGRES_CRASHED: {
    retry: 'reset',
    summary: 'A Postgres process crashed and the server restarts.',
    hint: 'Look at the log of Postgres. Acknowledged asynchronous commits may be gone, so a new source epoch begins.',
  },
  POSTGRES_TIMEOUT: {
    retry: 'retry',
    summary: 'A statement was cancelled: it, or the lock that it waited for, took too long.',
    hint: 'Look for long transactions and locks in pg_stat_activity and pg_locks, then repeat.',
  },
  POSTGRES_QUERY_FAILED: {
    retry: 'reset',
    summary: 'Postgres answered a statement with an error.',
    hint: 'The message and its SQLSTATE say why.',
  },
  POSTGRES_SLOT_ACTIVE: {
    retry: 'retry',
    summary: 'Another process holds the replication slot.',
    hint: 'Only one relay works on a source: this one takes over when the other goes.',
  },
  POSTGRES_SLOT_MISSING: {
    retry: 'operator',
    summary: 'The replication slot does not exist.',
    hint: 'Run `afterwrite setup`. If the slot was dropped, changes since may be lost: a new slot begins a new source epoch.',
  },
  POSTGRES_SLOT_INVALIDATED: {
    retry: 'operator',
    summary:
      'The replication slot can no longer be read: Postgres has removed WAL that it needed, or the server cannot decode.',
    hint: 'Look at pg_replication_slots.wal_status, max_slot_wal_keep_size and wal_level, then run `afterwrite setup` for a new slot.',
  },
  POSTGRES_SYNCHRONOUS_STANDBY: {
    retry: 'operator',
    summary: 'Commits would wait for the relay, as for a synchronous standby.',
    hint: 'Name your standbys in synchronous_standby_names, instead of *, and reload: SELECT pg_reload_conf().',
  },
  POSTGRES_PUBLICATION_MISSING: {
    retry: 'operator',
    summary: 'The publication does not exist, or did not when a change was made.',
    hint: 'Run `afterwrite setup`. Changes made without a publication are not in the stream.',
  },
  SOURCE_EPOCH_PASSED: {
    retry: 'reset',
    summary: 'Another relay has drawn a higher source epoch than the one that the log of the bus shows.',
    hint: 'None is needed: the relay draws the next, and every region begins anew. The log has lost its end, or a late send has hidden it: look at its brokers.',
  },
  STACK_UNAVAILABLE: {
    retry: 'operator',
    summary: 'A server that the demo or a test needs can neither be found nor started.',
    hint: 'The message names what is missing and the command that brings it. A URL of a server that runs already is taken first.',
  },
  STACK_START_FAILED: {
    retry: 'operator',
    summary: 'A server was started for the demo or a test and ended, or was not ready in time.',
    hint: 'The message ends with the last lines that the server printed.',
  },
  HTTP_PORT_IN_USE: {
    retry: 'operator',
    summary: 'The port for health and metrics cannot be taken.',
    hint: 'Set AFTERWRITE_HTTP_PORT to a free port, or to 0 for any.',
  },
  HOT_KEYS_INVALID: {
    retry: 'never',
    summary: 'What is told of hot keys cannot be read; it was skipped.',
    hint: 'Nothing but clients may write to the stream `hot-reads`, and nothing but agents to where hot keys are published. Upgrade the agents first.',
  },
  HOT_KEYS_MISSING: {
    retry: 'operator',
    summary: 'The place where hot keys are published does not exist.',
    hint: 'Run `afterwrite setup`. Until then everything else works, and a region that is lost comes back without them.',
  },
  REDIS_UNREACHABLE: {
    retry: 'retry',
    summary: 'A Redis server does not answer.',
    hint: 'Check the address, and `redis-cli -u URL ping`. Agents wait and go on from the stored position.',
  },
  REDIS_DENIED: {
    retry: 'operator',
    summary: 'A Redis server refuses the user, the password or a command.',
    hint: 'The agent needs the commands of docs/OPERATING.md on its own keys: check `ACL WHOAMI` and the user’s rules.',
  },
  REDIS_COMMAND_FAILED: {
    retry: 'reset',
    summary: 'A Redis server answered a command with an error.',
    hint: 'The message is the server’s own. Redis 7 or newer is needed.',
  },
  REDIS_WRONG_TYPE: {
    retry: 'reset',
    summary: 'A key of ours in Redis is not of the type that we gave it.',
    hint: 'Another program wrote it. If it is a cell’s, that cell alone stands still: delete the key, and it begins anew by itself.',
  },
  LOG_READER_ENDED: {
    retry: 'operator',
    summary: 'The agent can no longer read the log.',
    hint: 'The process ends so that it is started anew; if it ends again at once, check the brokers and the topic with `afterwrite doctor`.',
  },
  KAFKA_UNREACHABLE: {
    retry: 'retry',
    summary: 'The Kafka brokers do not answer.',
    hint: 'Check the brokers in the file, and that their advertised listeners can be reached from here.',
  },
  KAFKA_DENIED: {
    retry: 'operator',
    summary: 'The Kafka brokers refuse the user or the topic.',
    hint: 'Check the SASL settings and the ACLs: read, write, describe and create on the topic; read and delete on groups that begin with afterwrite-reader-.',
  },
  KAFKA_TOPIC_MISSING: {
    retry: 'operator',
    summary: 'The topic of the bus does not exist.',
    hint: 'Run `afterwrite setup`.',
  },
  KAFKA_TOPIC_UNFIT: {
    retry: 'operator',
    summary: 'The topic of the bus is not as the file says.',
    hint: 'The message names the difference. The number of partitions is fixed for a life of the bus: put the right one into the file, or choose another topic.',
  },
  KAFKA_SEND_FAILED: {
    retry: 'reset',
    summary: 'A send to Kafka failed; parts of it may have landed.',
    hint: 'The relay begins again at what Postgres has confirmed. If it goes on, look at the brokers: min.insync.replicas, disk space.',
  },
  KAFKA_CONSUMER_CRASHED: {
    retry: 'operator',
    summary: 'The Kafka consumer of an agent has stopped.',
    hint: 'The process ends so that it is started anew.',
  },
  LOG_NOT_DURABLE: {
    retry: 'operator',
    summary: 'The Redis of the log may forget what it has acknowledged.',
    hint: 'Set `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction` on the Redis of the log.',
  },
  LOG_MISSING: {
    retry: 'operator',
    summary: 'The log of the bus has not been created.',
    hint: 'Run `afterwrite setup`.',
  },
  LOG_UNFIT: {
    retry: 'operator',
    summary: 'The log of the bus is not as the file says.',
    hint: 'The number of partitions is fixed for a life of the bus: put the right one into the file.',
  },
  KUBERNETES_CONFIG_INVALID: {
    retry: 'operator',
    summary: 'The address or the credentials of the Kubernetes API server cannot be read.',
    hint: 'Inside a pod a service account is expected (`automountServiceAccountToken`); outside, a kubeconfig: KUBECONFIG, or `--kubeconfig`.',
  },
  KUBERNETES_UNREACHABLE: {
    retry: 'retry',
    summary: 'The Kubernetes API server does not answer. What was asked may have been done.',
    hint: 'Nothing but the starting of warm-ups waits for it. Check that the controller’s network policy lets it reach the API server.',
  },
  KUBERNETES_OVERLOADED: {
    retry: 'retry',
    summary: 'The Kubernetes API server turns requests away for now.',
    hint: 'The controller waits for as long as the server asks. Where it goes on, look at the server’s priority and fairness metrics.',
  },
  KUBERNETES_FAILED: {
    retry: 'retry',
    summary: 'The Kubernetes API server answered with an error of its own.',
    hint: 'The message is the server’s. Look at its log, and at admission webhooks that do not answer.',
  },
  KUBERNETES_CONFLICT: {
    retry: 'reset',
    summary: 'A Kubernetes object was changed by another in the meantime.',
    hint: 'None is needed: the controller looks anew.',
  },
  KUBERNETES_HISTORY_GONE: {
    retry: 'reset',
    summary: 'The Kubernetes API server no longer has the history that a watch was to begin in.',
    hint: 'None is needed: the controller lists anew and watches from there.',
  },
  KUBERNETES_DENIED: {
    retry: 'operator',
    summary:
      'The Kubernetes API server refuses the service account, or a quota or an admission rule refuses the object.',
    hint: 'The message names the verb and the resource: compare the Role with the table in docs/KUBERNETES.md. The controller goes on by itself once it may.',
  },
  KUBERNETES_OBJECT_INVALID: {
    retry: 'operator',
    summary: 'The Kubernetes API server does not accept an object as it was written.',
    hint: 'The message names the field. Of a Job it stands in the template: try it with `kubectl create --dry-run=server`.',
  },
  KUBERNETES_OBJECT_MISSING: {
    retry: 'operator',
    summary: 'A Kubernetes object that must be there is not: a namespace, or the owner of the Jobs.',
    hint: 'The message names it. The owner is what `--owner` says.',
  },
  JOB_TEMPLATE_INVALID: {
    retry: 'operator',
    summary: 'The template of the warm-up Jobs cannot be used.',
    hint: 'It is a manifest of batch/v1, kind Job, with one container at least; the message says what is wrong.',
  },
  LEADERSHIP_LOST: {
    retry: 'reset',
    summary: 'A controller was no longer sure to be the leader, and did not act.',
    hint: 'None is needed: the next leader looks anew. Where it happens often, the API server is slow, or the controller gets no CPU.',
  },
  CACHE_OPTION_INVALID: {
    retry: 'never',
    summary: 'An option of the client is missing or wrong.',
    hint: 'The message names the option and what is expected.',
  },
  CACHE_FAMILY_UNKNOWN: {
    retry: 'never',
    summary: 'The file has no such family.',
    hint: 'The message names the families that it has.',
  },
  CACHE_LOADER_MISSING: {
    retry: 'never',
    summary: 'A family has no loader.',
    hint: 'Give the family a `source` in the file, and the client the application’s pools; or pass `load` to `cache.family`.',
  },
  CACHE_LOADER_TWICE: {
    retry: 'never',
    summary: 'A family has two loaders, or was opened with two.',
    hint: 'A family has either `source` in the file or `load` in the application; open it once and share it.',
  },
  CACHE_REDIS_UNFIT: {
    retry: 'never',
    summary: 'The Redis client that was given cannot be used.',
    hint: 'Pass an instance of ioredis 5 or 6, Redis or Cluster, that reads from masters: a replica of Redis lags behind its evictions.',
  },
  CACHE_KEY_TOO_LONG: {
    retry: 'never',
    summary: 'A key is longer than the bus carries.',
    hint: 'A key has at most 1,024 bytes, with its parameters printed and escaped.',
  },
  CACHE_VALUE_INVALID: {
    retry: 'never',
    summary: 'A loader returned what cannot be cached.',
    hint: 'Return null for what does not exist, and otherwise what the family’s codec can hold: no undefined, no bigint, no circle.',
  },
  CACHE_WRITE_UNFIT: {
    retry: 'never',
    summary: 'The values of a family cannot be written through.',
    hint: 'Use `then: "evict"`: a writer knows the new value of a key only where it is built from the one row that the transaction has locked.',
  },
  CACHE_LOAD_TIMEOUT: {
    retry: 'retry',
    summary: 'A load took longer than its deadline.',
    hint: 'Look at what the loader waits for. `loadTimeoutMs` is also the time of the lease, so a longer one keeps other processes waiting for longer.',
  },
  CACHE_OVERLOADED: {
    retry: 'retry',
    summary: 'Too many loads are under way or waiting, and there is no older value to serve.',
    hint: 'The database is protected. Look for a slow loader, for Redis being away, and at `loadsMax` and `loadQueueMax`.',
  },
  CACHE_TOO_STALE: {
    retry: 'retry',
    summary: 'Neither the cache nor the origin could give a value as new as was asked for.',
    hint: 'The cause is the origin’s error. A family with `too-stale: serve` gets the cached value instead.',
  },
  BUFFER_UNKNOWN: {
    retry: 'never',
    summary: 'The file has no such buffer, or it is of the other kind.',
    hint: 'The message names the buffers that it has: `counter(name)` is for kind counter, `buffer(name)` for kind buffer.',
  },
  BUFFER_REDIS_UNFIT: {
    retry: 'operator',
    summary: 'A buffer’s Redis may drop what it has acknowledged, or is not the one that the buffer was begun in.',
    hint: 'A buffer needs a Redis of its own: a master, no cluster, with `maxmemory-policy noeviction`. Its number of partitions is fixed for its life.',
  },
  BUFFER_LOSS_UNKEPT: {
    retry: 'operator',
    summary: 'A buffer’s Redis may lose more in a crash than the file names.',
    hint: 'Set `appendonly yes` and `appendfsync always` on it, or name what may be lost: `loss: { redis: 2s }` for `everysec`.',
  },
  BUFFER_FULL: {
    retry: 'retry',
    summary: 'A buffer could not take a call: it is full, or its Redis is away. The call was not buffered.',
    hint: 'Look for a flusher that stands still: `afterwrite flush`, and the age of the oldest entry. `whenFull`, `maxEntries` and `maxBytes` decide.',
  },
  BUFFER_UNACKNOWLEDGED: {
    retry: 'never',
    summary: 'A call was sent to a buffer and no answer came: it may count or not.',
    hint: 'Making the call again may count it twice. Look at the buffer’s Redis.',
  },
  BUFFER_VALUE_INVALID: {
    retry: 'never',
    summary: 'A key, a number or a row that was given to a buffer cannot be written.',
    hint: 'The message names the column. Numbers to be added are whole.',
  },
  CACHE_CLOSED: {
    retry: 'never',
    summary: 'The cache has been drained.',
    hint: 'Drain it after the last request has been answered.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An operating failure with a code. Broken invariants are plain errors and end the process. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly code: ErrorCode;
  /** Where it happened: a file and line, a partition and offset, a relation, a Redis key. */
  readonly at: string | undefined;
  /** How long the server asks to be left alone, where it says so. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly at?: string; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.at = options.at;
    this.retryAfterMs = options.retryAfterMs;
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
