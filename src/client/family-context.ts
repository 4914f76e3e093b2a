import type { Family } from '../config/bus-config.ts';
import type { FamilyRule } from './family-rule.ts';
import type { HotKeySampler } from './hot-keys.ts';
import type { KeyPrinter } from './key-printer.ts';
import type { Origin } from './origin.ts';

/** One family of a cache, as it was opened. */
export interface FamilyContext {
  readonly family: Family;
  readonly rule: FamilyRule;
  readonly printer: KeyPrinter;
  readonly origin: Origin;
  /** Counts its reads. */
  readonly sampler: HotKeySampler | undefined;
  /** Whether what the origin loads may ever be stored. */
  readonly isProven: boolean;
  /** Whether it reads the primary, where an eviction may be seen a moment later than by the bus. */
  readonly readsPrimary: boolean;
}
