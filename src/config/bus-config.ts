import type { Act } from '../protocol/invalidation.ts';
import type { KeyTemplate } from '../protocol/key-template.ts';

/** The user's file, parsed: nothing in it is a raw text any more. Held by every program; secrets are in the URLs only. */
export interface BusConfig {
  readonly bus: string;
  /** Stands before every value key, so that two services on one Redis do not collide. Default `<bus>:`. */
  readonly prefix: string;
  readonly source: SourceConfig;
  readonly log: KafkaLogConfig | RedisStreamsLogConfig;
  readonly regions: ReadonlyMap<string, RegionConfig>;
  readonly families: ReadonlyMap<string, Family>;
  readonly tagRules: readonly TagRule[];
  /** What is written behind, by name. */
  readonly buffers: ReadonlyMap<string, BufferConfig>;
  readonly warmup: WarmupConfig;
  /** True: agents evict nothing and count what they would have. */
  readonly observe: boolean;
  /** Keys of one family in one transaction, beyond which the transaction invalidates the family. Default 10,000. */
  readonly keysPerTransactionMax: number;
}

/** How a region is warmed. Shares are from 0 to below 1, times in milliseconds. */
export interface WarmupConfig {
  /** Of the reads of hot keys: at this the region is warm. */
  readonly target: number;
  /** From this share of warm reads on, so much of the traffic may come; in rising order. */
  readonly ramp: readonly { readonly share: number; readonly admit: number }[];
  readonly rampStepMs: number;
  /** Statements at a time. */
  readonly concurrencyMin: number;
  readonly concurrencyMax: number;
  /** Keys of a statement. */
  readonly batchMax: number;
  readonly latencyMaxMs: number;
  readonly statementTimeoutMs: number;
  /** Keys of a family that agents remember and publish. */
  readonly hotKeys: number;
}

export interface SourceConfig {
  readonly url: string;
  /** Default `afterwrite_<bus>`. */
  readonly publication: string;
  /** The slot is `<slotPrefix>_<8 hex digits>`. Default `afterwrite_<bus>`. */
  readonly slotPrefix: string;
  /** Whether the application commits with synchronous_commit off: then a crash of Postgres begins a new source epoch. Default true, the safe one. */
  readonly asynchronousCommits: boolean;
  /** Whether `setup` installs the event trigger that reports DDL. Default false. */
  readonly eventTrigger: boolean;
}

export interface KafkaLogConfig {
  readonly kind: 'kafka';
  readonly brokers: readonly string[];
  /** Default `afterwrite.<bus>`. */
  readonly topic: string;
  /** Default 12. Fixed for the bus's life. */
  readonly partitions: number;
  /** Default 3, or the number of brokers if that is less. */
  readonly replicationFactor: number;
  /** Default 72 h. */
  readonly retentionMs: number;
  readonly ssl: boolean;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
}

export interface RedisStreamsLogConfig {
  readonly kind: 'redis-streams';
  readonly url: string;
  /** Default 12. Fixed for the bus's life. */
  readonly partitions: number;
  /** Records a partition holds at most, whatever the regions have read. Default 1,000,000. */
  readonly recordsMax: number;
}

export interface RegionConfig {
  readonly name: string;
  readonly redis: RedisPlace;
  /** Read replicas of the region, as Postgres URLs. */
  readonly replicas: readonly string[];
}

/** The URL of one Redis; those of some nodes of a Redis Cluster, of which the others are learnt; or what Sentinels call master. */
export type RedisPlace = string | { readonly cluster: readonly string[] } | SentinelPlace;

export interface SentinelPlace {
  readonly sentinels: readonly string[];
  /** A URL whose host is the name that the Sentinels have for the master, with its own user, password and database. */
  readonly master: string;
}

export interface Family {
  readonly name: string;
  readonly key: KeyTemplate;
  readonly ttlMs: number;
  /** The share of a TTL by which it is shortened at most, at random: from 0 to below 1. */
  readonly jitter: number;
  /** How long an absence is kept; 0: it is not. */
  readonly absentMs: number;
  /** How early a value is refreshed before its time is over: the beta of XFetch; 0 for not at all. */
  readonly early: number;
  /** How values are written. What stands already is read whichever way it was written. */
  readonly codec: 'json' | 'msgpack';
  /** Values of so many bytes are compressed; 0: none is. */
  readonly compressBytes: number;
  /** Of the values' shape: a value of another is a miss. */
  readonly version: number;
  readonly rules: readonly Rule[];
  /** Labels, printed from the loaded value's columns. */
  readonly tags: readonly KeyTemplate[];
  /** The loader: a query of the source, or undefined where the application brings its own. */
  readonly source: string | undefined;
  readonly reads: 'primary' | 'replica';
  /** Whether `source` gives a list of rows; else one row, or null where there is none. */
  readonly isList: boolean;
  /** Whether the file says that the application has a loader for it (`load: true`). */
  readonly isLoadedElsewhere: boolean;
  /** How long past its TTL a value may be served while one reader reloads it; 0 for not at all. */
  readonly staleMs: number;
  /** How long a value may live in a process's own memory; 0 for not at all. */
  readonly localMs: number;
  /** Whether the value's key holds the payload alone, for readers without this library. */
  readonly isPlain: boolean;
  /** What a read with `maxStaleness` does where neither cache nor origin can meet it. */
  readonly tooStale: 'fail' | 'serve';
  readonly whenChanged: Act;
  /** Changes with anything that decides what is cached or what makes it old: 16 hex digits. */
  readonly ruleHash: string;
}

/** What makes all entries with a tag old. */
export interface TagRule {
  readonly tag: KeyTemplate;
  readonly rules: readonly Rule[];
}

/** A row change of `table` makes one key or tag old, printed from these columns of the old and of the new row. */
export interface Rule {
  readonly table: TableName;
  /** The column of each template parameter, in the order of `template.parameters`. */
  readonly columns: readonly string[];
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** What is gathered in the application, kept in a Redis of its own, and written to Postgres in batches. Times in milliseconds. */
export interface BufferConfig {
  readonly name: string;
  /** The URL of one server. */
  readonly redis: string;
  readonly kind: 'counter' | 'buffer';
  /** The columns that tell one key from another. */
  readonly key: readonly string[];
  /** Of a row, beside the key; none of a counter. */
  readonly columns: readonly string[];
  readonly target: BufferTarget;
  readonly windowMs: number;
  readonly flushEveryMs: number;
  readonly loss: BufferLoss;
  readonly whenFull: 'block' | 'shed' | 'write-through';
  /** Keys in windows that are not flushed. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Fixed for the buffer's life. */
  readonly partitions: number;
}

/** What may be lost. 0 is nothing. */
export interface BufferLoss {
  /** By a crash of a process, of what it was given and has not acknowledged. */
  readonly processMs: number;
  /** By a crash of Redis, of what was acknowledged. */
  readonly redisMs: number;
  /** With Redis's disk: everything that is not flushed. */
  readonly diskMs: number;
}

export type BufferTarget =
  | {
      readonly kind: 'table';
      readonly table: TableName;
      /** Of a counter: what is added to. */
      readonly column: string;
      /** Whether rows that are not there are inserted; else what is for them is dropped. */
      readonly makesRows: boolean;
    }
  | { readonly kind: 'statement'; readonly text: string };
