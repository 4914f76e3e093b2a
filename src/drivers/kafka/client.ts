import { Kafka, logLevel, type SASLOptions } from 'kafkajs';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError, type ErrorCode } from '../../protocol/errors.ts';
import { patchTimers } from './timer-patch.ts';

const CONNECTION_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 10_000;

/** A reader goes on where it was, so its requests may be repeated while a broker is away or elects a leader. */
const PATIENT = { retries: 10, initialRetryTime: 50, maxRetryTime: 2000 };
/** Whoever writes or asks decides by itself what a failure means. */
const ONCE = { retries: 0 };

/** A client of the brokers. It says nothing by itself, since its failures are ours to log. */
export function createClient(config: KafkaLogConfig, clientId: string, patience: 'once' | 'patient' = 'once'): Kafka {
  patchTimers();
  return new Kafka({
    clientId,
    brokers: [...config.brokers],
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: patience === 'once' ? ONCE : PATIENT,
    logLevel: logLevel.NOTHING,
    ssl: config.ssl,
    ...(config.sasl === undefined ? {} : { sasl: config.sasl as SASLOptions }),
  });
}

/** Protocol error types, as Kafka's protocol guide names them ("Error Codes"). */
const CODE_BY_TYPE: Readonly<Record<string, ErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'KAFKA_TOPIC_MISSING',
  TOPIC_AUTHORIZATION_FAILED: 'KAFKA_DENIED',
  GROUP_AUTHORIZATION_FAILED: 'KAFKA_DENIED',
  CLUSTER_AUTHORIZATION_FAILED: 'KAFKA_DENIED',
  SASL_AUTHENTICATION_FAILED: 'KAFKA_DENIED',
};

interface KafkaLike {
  readonly name?: unknown;
  readonly type?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** Turns an error of kafkajs into ours, by its type and class, never by its text. */
export function kafkaError(error: unknown, otherwise: ErrorCode, at: string): BusError {
  if (error instanceof BusError) return error;
  const code = codeOf(error, 4) ?? otherwise;
  const message = error instanceof Error ? error.message : String(error);
  return new BusError(code, `Kafka: ${message}`, { at, cause: error });
}

function codeOf(error: unknown, depth: number): ErrorCode | undefined {
  if (typeof error !== 'object' || error === null || depth === 0) return undefined;
  const { name, type, cause, errors } = error as KafkaLike;
  if (typeof type === 'string' && type in CODE_BY_TYPE) return CODE_BY_TYPE[type];
  if (name === 'KafkaJSSASLAuthenticationError' || name === 'KafkaJSUnsupportedSaslMechanismError')
    return 'KAFKA_DENIED';
  const inner = codeOf(cause, depth - 1) ?? (Array.isArray(errors) ? codeOf(errors[0], depth - 1) : undefined);
  if (inner !== undefined) return inner;
  return name === 'KafkaJSConnectionError' || name === 'KafkaJSBrokerNotFound' || name === 'KafkaJSRequestTimeoutError'
    ? 'KAFKA_UNREACHABLE'
    : undefined;
}
