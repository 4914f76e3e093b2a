import { LSN_MAX } from '../protocol/lsn.ts';
import type { Entry, WriteLeaseReply } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { storedForm } from './stored-form.ts';
import type { WrittenValue } from './written-value.ts';

type Leased = Extract<WriteLeaseReply, { kind: 'leased' }>['reading'];

/**
 * The lease of a writer, from before his COMMIT. Whoever had one before stores nothing any more, and what is committed after this COMMIT is evicted after
 * this lease: so the store that finds it standing stores what is the newest.
 */
export class WriteLease {
  readonly entry: Entry;
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #token: string;
  readonly #reading: Leased;
  /** By which the key was printed. */
  readonly #rule: string;
  /** As it was asked for: before COMMIT. */
  readonly #takenMs: number;

  private constructor(
    core: CacheCore,
    context: FamilyContext,
    entry: Entry,
    token: string,
    rule: string,
    reading: Leased,
    takenMs: number,
  ) {
    this.#core = core;
    this.#context = context;
    this.entry = entry;
    this.#token = token;
    this.#rule = rule;
    this.#reading = reading;
    this.#takenMs = takenMs;
  }

  /** Throws as the store does. The reply, where there is no lease. */
  static async take(
    core: CacheCore,
    context: FamilyContext,
    entry: Entry,
  ): Promise<WriteLease | Exclude<WriteLeaseReply, { kind: 'leased' }>> {
    const token = core.newToken();
    const rule = context.rule.text ?? '';
    const takenMs = core.clock.nowMs();
    const reply = await core.store.leaseToWrite(entry, { token, rule, leaseMs: core.limits.loadTimeoutMs });
    return reply.kind === 'leased' ? new WriteLease(core, context, entry, token, rule, reply.reading, takenMs) : reply;
  }

  /** Undefined where it is stored, else why it is not. Throws as the store does. */
  async store({ payload, tagMarks }: Extract<WrittenValue, { kind: 'value' }>) {
    const reply = await this.#core.store.store(this.entry, {
      token: this.#token,
      epoch: this.#reading.epoch,
      offset: this.#reading.offset,
      // A writer has read nothing that could be older than a commit: his row was locked.
      bound: LSN_MAX,
      rule: this.#rule,
      tagMarks,
      ...storedForm(this.#context.family, payload, { loadMs: undefined, readAtMs: this.#takenMs }, this.#core.random()),
      id: this.#token,
    });
    return reply.kind === 'stored' ? undefined : reply.why;
  }

  /** Ends it, behind the answer. */
  giveUp(): void {
    this.#core.ongoing.goOn(this.#core.store.giveUp(this.entry, this.#token));
  }
}
