/** Every metric: seconds and bytes, labels from closed sets, never a key. The manual's table is tested against this one. */
export interface MetricEntry {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

/** Half a millisecond to a minute. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 5, 15, 60];

export const METRICS = {
  afterwrite_relay_streaming: { kind: 'gauge', help: '1 while this relay holds the slot and streams, else 0.' },
  afterwrite_relay_attempts_total: { kind: 'counter', help: 'Attempts of the relay that ended.', labels: ['outcome'] },
  afterwrite_relay_transactions_total: { kind: 'counter', help: 'Transactions decoded.' },
  afterwrite_relay_changes_total: {
    kind: 'counter',
    help: 'Row changes, truncates and messages decoded.',
    labels: ['op'],
  },
  afterwrite_relay_invalidations_total: { kind: 'counter', help: 'Invalidations made.', labels: ['scope', 'family'] },
  afterwrite_relay_widened_total: {
    kind: 'counter',
    help: 'Changes that became larger than a key.',
    labels: ['reason', 'family'],
  },
  afterwrite_relay_message_faults_total: {
    kind: 'counter',
    help: 'Parts of application messages that could not be understood.',
  },
  afterwrite_relay_unrouted_relations: { kind: 'gauge', help: 'Relations in the stream that no rule names.' },
  afterwrite_relay_records_sent_total: { kind: 'counter', help: 'Records that the log has acknowledged.' },
  afterwrite_relay_sent_bytes_total: { kind: 'counter', help: 'Bytes of record values that the log has acknowledged.' },
  afterwrite_relay_send_seconds: {
    kind: 'histogram',
    help: 'One send, from encoding to acknowledgement.',
    buckets: LATENCY_SECONDS,
  },
  afterwrite_relay_received_lsn_bytes: { kind: 'gauge', help: 'The highest LSN that the stream has shown.' },
  afterwrite_relay_settled_lsn_bytes: { kind: 'gauge', help: 'The settled mark of the primary.' },
  afterwrite_relay_confirmed_lsn_bytes: { kind: 'gauge', help: 'The LSN up to which Postgres may forget.' },
  afterwrite_relay_unsettled_transactions: {
    kind: 'gauge',
    help: 'Transactions decoded and not yet seen to be visible.',
  },
  afterwrite_relay_pending_items: { kind: 'gauge', help: 'Invalidations that wait to be sent.' },
  afterwrite_agent_cells_owned: { kind: 'gauge', help: 'Cells that this agent owns.', labels: ['region'] },
  afterwrite_agent_cells_stopped: {
    kind: 'gauge',
    help: 'Cells that stand still and need an operator.',
    labels: ['region'],
  },
  afterwrite_agent_applied_records_total: { kind: 'counter', help: 'Records applied.', labels: ['region'] },
  afterwrite_agent_invalidations_total: {
    kind: 'counter',
    help: 'Invalidations applied.',
    labels: ['region', 'scope', 'family'],
  },
  afterwrite_agent_evicted_keys_total: {
    kind: 'counter',
    help: 'Keys that were there and are gone.',
    labels: ['region'],
  },
  afterwrite_agent_apply_seconds: {
    kind: 'histogram',
    help: 'One apply script, from sending to its answer.',
    labels: ['region'],
    buckets: LATENCY_SECONDS,
  },
  afterwrite_agent_commit_to_evicted_seconds: {
    kind: 'histogram',
    help: "From a commit by Postgres's clock to the answer of the script that applied it.",
    labels: ['region'],
    buckets: LATENCY_SECONDS,
  },
  afterwrite_agent_refused_batches_total: {
    kind: 'counter',
    help: 'Batches that the script refused.',
    labels: ['region', 'reason'],
  },
  afterwrite_agent_new_epochs_total: { kind: 'counter', help: 'Cell epochs begun.', labels: ['region', 'reason'] },
  afterwrite_agent_dead_letters_total: {
    kind: 'counter',
    help: 'Records that could not be read, and made their cell old.',
    labels: ['region'],
  },
  afterwrite_agent_expired_keys_total: {
    kind: 'counter',
    help: 'Values whose time to live an agent has ended: served for the stale bound of their family, while one reader loads anew.',
    labels: ['region'],
  },
  afterwrite_agent_refreshed_keys_total: {
    kind: 'counter',
    help: 'Keys that were loaded anew after a change, by an agent or a worker.',
    labels: ['region', 'family'],
  },
  afterwrite_agent_refreshes_given_up_total: {
    kind: 'counter',
    help: 'Keys that could not be loaded anew after a change: the next reader loads them.',
    labels: ['region', 'family'],
  },
  afterwrite_agent_swept_keys_total: { kind: 'counter', help: 'Keys that a sweep has unlinked.', labels: ['region'] },
  afterwrite_agent_sweeps_owed: {
    kind: 'gauge',
    help: 'Sweeps owed by the cells of this agent, those among them that wait for an agent with another file.',
    labels: ['region'],
  },
  afterwrite_agent_redis_away_seconds_total: {
    kind: 'counter',
    help: 'Time without the region’s Redis.',
    labels: ['region'],
  },
  afterwrite_agent_lag_records: {
    kind: 'gauge',
    help: 'Records of the log that the cells of this agent have not applied.',
    labels: ['region'],
  },
  afterwrite_agent_staleness_seconds: {
    kind: 'gauge',
    help: 'Age of what the slowest cell of this agent has applied.',
    labels: ['region'],
  },
  afterwrite_agent_watermark_lsn_bytes: {
    kind: 'gauge',
    help: 'The LSN below which every cell of this agent has applied everything.',
    labels: ['region'],
  },
  afterwrite_agent_settled_replica_lsn_bytes: {
    kind: 'gauge',
    help: 'The settled mark of the region’s read replicas.',
    labels: ['region'],
  },
  afterwrite_region_state: {
    kind: 'gauge',
    help: '1 for the state of the region’s gate: COLD, WARMING or WARM; 0 for the others, and for all three where the gate was not seen for 30 s.',
    labels: ['region', 'state'],
  },
  afterwrite_region_share: {
    kind: 'gauge',
    help: 'Of the reads of hot keys, those whose keys are warm.',
    labels: ['region'],
  },
  afterwrite_region_admit: { kind: 'gauge', help: 'The share of traffic that may come.', labels: ['region'] },
  afterwrite_region_cold_total: {
    kind: 'counter',
    help: 'Times that this agent has found the region cold.',
    labels: ['region', 'reason'],
  },
  afterwrite_region_redis_changes_total: {
    kind: 'counter',
    help: 'Changes of the region’s Redis that this agent has met: REPLAY, COLD or DISTRUST.',
    labels: ['region', 'change'],
  },
  afterwrite_hot_keys: {
    kind: 'gauge',
    help: 'Keys that are known to be hot. Told by the agent that holds cell 0.',
    labels: ['region', 'family'],
  },
  afterwrite_hot_reads_reports_total: {
    kind: 'counter',
    help: 'Reports of processes about their reads that were added up.',
    labels: ['region'],
  },
  afterwrite_hot_keys_published_total: {
    kind: 'counter',
    help: 'Buckets of hot keys that were published.',
    labels: ['region'],
  },
  afterwrite_hot_keys_faults_total: {
    kind: 'counter',
    help: 'Reports and buckets that could not be read, and failures to publish.',
    labels: ['region', 'code'],
  },
  afterwrite_buffer_entries: {
    kind: 'gauge',
    help: 'Entries of a buffer that are not flushed: keys in windows.',
    labels: ['buffer'],
  },
  afterwrite_buffer_bytes: { kind: 'gauge', help: 'Bytes of them.', labels: ['buffer'] },
  afterwrite_buffer_oldest_seconds: { kind: 'gauge', help: 'Age of the oldest of them.', labels: ['buffer'] },
  afterwrite_buffer_loss_seconds: {
    kind: 'gauge',
    help: 'What may be lost by a crash, as the file names it: of a process, of Redis, of Redis with its disk.',
    labels: ['buffer', 'by'],
  },
  afterwrite_buffer_behind: {
    kind: 'gauge',
    help: '1 while the oldest entry is older than what may be lost, else 0.',
    labels: ['buffer'],
  },
  afterwrite_buffer_flush_seconds: {
    kind: 'histogram',
    help: 'One batch into Postgres, from its plan to COMMIT.',
    labels: ['buffer'],
    buckets: LATENCY_SECONDS,
  },
  afterwrite_buffer_flush_failures_total: { kind: 'counter', help: 'Flushes that failed.', labels: ['buffer'] },
  afterwrite_buffer_flushed_batches_total: { kind: 'counter', help: 'Windows flushed.', labels: ['buffer'] },
  afterwrite_buffer_repeated_batches_total: {
    kind: 'counter',
    help: 'Windows that were found again, and had been flushed before.',
    labels: ['buffer'],
  },
  afterwrite_buffer_flushed_rows_total: { kind: 'counter', help: 'Rows written to Postgres.', labels: ['buffer'] },
  afterwrite_buffer_refused_rows_total: {
    kind: 'counter',
    help: 'Rows that Postgres refuses; they stand in afterwrite_refused.',
    labels: ['buffer'],
  },
  afterwrite_buffer_unmatched_rows_total: {
    kind: 'counter',
    help: 'Values dropped since there is no row for them, where rows are not to be made.',
    labels: ['buffer'],
  },
  afterwrite_warmup_share: {
    kind: 'gauge',
    help: 'Of the reads of hot keys, those whose keys are warm, from 0 to 1.',
    labels: ['region'],
  },
  afterwrite_warmup_keys_total: {
    kind: 'counter',
    help: 'Keys that a warm-up has asked for, by what became of them.',
    labels: ['region', 'family', 'outcome'],
  },
  afterwrite_warmup_load_seconds: {
    kind: 'histogram',
    help: 'One load of many keys by a warm-up.',
    labels: ['region'],
    buckets: LATENCY_SECONDS,
  },
  afterwrite_warmup_window_keys: {
    kind: 'gauge',
    help: 'Keys that a warm-up may have under way: its pace.',
    labels: ['region'],
  },
  afterwrite_warmup_hindered_total: {
    kind: 'counter',
    help: 'Times that a warm-up was slowed down: by timeouts, by refusals, by a region that stores nothing, by its gate.',
    labels: ['region', 'reason'],
  },
  afterwrite_controller_leading: { kind: 'gauge', help: '1 while this controller may act, else 0.' },
  afterwrite_controller_looks_total: { kind: 'counter', help: 'Looks at the regions.', labels: ['outcome'] },
  afterwrite_controller_look_seconds: {
    kind: 'histogram',
    help: 'One look, with what was done.',
    buckets: LATENCY_SECONDS,
  },
  afterwrite_controller_acts_total: { kind: 'counter', help: 'What the controller did.', labels: ['act', 'outcome'] },
  afterwrite_controller_warmup_failed: {
    kind: 'gauge',
    help: '1 while the warm-up Job of a region’s epoch has ended, failed or not, and the region is not warm, else 0.',
    labels: ['region'],
  },
  afterwrite_controller_gate_readable: {
    kind: 'gauge',
    help: '1 while a region’s gate can be read, else 0.',
    labels: ['region'],
  },
  afterwrite_controller_watch_ends_total: { kind: 'counter', help: 'Watches that ended.', labels: ['reason'] },
} as const satisfies Record<string, MetricEntry>;

export type MetricName = keyof typeof METRICS;
