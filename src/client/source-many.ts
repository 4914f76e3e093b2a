import type { SourceOriginOptions } from './source-origin.ts';
import { type ErrorCode, isBusError } from '../protocol/errors.ts';
import { answeredSqlState, faultOf } from '../protocol/sqlstate.ts';
import type { SourceTemplate } from '../protocol/source-template.ts';
import type { KeyLoad, KeyParams, Loaded, LoadManyOrigin, LoadRequest } from './origin.ts';
import { type ManyForm, manyFormOf, manyValuesOf, type ParameterTypes, sourceManyQuery } from './source-query.ts';
import { readBySource } from './source-read.ts';
import { StatementSize } from './statement-size.ts';

/** SQLSTATE classes by which Postgres may refuse the form that we gave the source: 42 syntax and names, 0A what it does not support, 54 its own limits. */
const FORM_REFUSED = new Set(['42', '0A', '54']);
/** Errors of one key's rows or parameters. */
const OF_KEY = new Set<ErrorCode>(['SOURCE_ROWS_UNEXPECTED', 'KEY_PARAMETER_INVALID']);

export interface SourceManyParts extends Pick<SourceOriginOptions, 'family' | 'pools' | 'monotonicMs' | 'oneByOne'> {
  readonly template: SourceTemplate;
  readonly types: () => ParameterTypes;
  readonly loadOne: (params: KeyParams, request: LoadRequest) => Promise<Loaded>;
  /** Throws where the rows are none that the family may have. */
  readonly valueOf: (columns: readonly string[], rows: readonly (readonly unknown[])[]) => unknown;
}

interface Key {
  readonly place: number;
  readonly params: KeyParams;
  readonly values: readonly string[];
}

/**
 * Loads many keys of a source by one statement, or by a few, one after the other.
 *
 *     rows                          ──▶ each key's, by its place
 *     data of some key refused      ──▶ halves, until the key stands alone with its error
 *     the form refused              ──▶ the first key by itself: refused too, and it is the source's; else all by themselves, from now on
 *     anything else                 ──▶ an error of all keys
 */
export class SourceMany implements LoadManyOrigin {
  readonly #parts: SourceManyParts;
  readonly #size = new StatementSize();
  #isRefused = false;

  constructor(parts: SourceManyParts) {
    this.#parts = parts;
  }

  get isUsable(): boolean {
    return !this.#isRefused && !this.#size.isDear(this.#parts.monotonicMs());
  }

  async loadMany(list: readonly KeyParams[], request: LoadRequest): Promise<readonly KeyLoad[]> {
    const { template, types } = this.#parts;
    const form = manyFormOf(template, types());
    const loads: KeyLoad[] = [];
    const keys = list.flatMap((params, place): Key[] => {
      try {
        return [{ place, params, values: form === undefined ? [] : manyValuesOf(form, params) }];
      } catch (error) {
        loads[place] = { kind: 'failed', error };
        return [];
      }
    });
    for (let at = 0; at < keys.length;) {
      const some = keys.slice(at, at + this.#size.keys);
      at += some.length;
      await this.#load(form, some, request, loads);
    }
    return loads;
  }

  async #load(form: ManyForm | undefined, keys: readonly Key[], request: LoadRequest, loads: KeyLoad[]): Promise<void> {
    if (form === undefined || this.#isRefused || keys.length === 1) return this.#oneByOne(keys, request, loads);
    try {
      await this.#statement(form, keys, request, loads);
    } catch (error) {
      if (isFormRefused(error)) return this.#withoutForm(error as Error, keys, request, loads);
      if (!isOfData(error)) throw error;
      const half = keys.length >> 1;
      await this.#load(form, keys.slice(0, half), request, loads);
      return this.#load(form, keys.slice(half), request, loads);
    }
  }

  /** Throws where it is the source itself that is refused. A key whose own data are at fault says nothing of that: the next one is asked. */
  async #withoutForm(why: Error, keys: readonly Key[], request: LoadRequest, loads: KeyLoad[]): Promise<void> {
    for (const [i, { place, params }] of keys.entries()) {
      request.signal.throwIfAborted();
      try {
        loads[place] = { kind: 'loaded', loaded: await this.#parts.loadOne(params, request) };
      } catch (error) {
        if (!isOfData(error) && !(isBusError(error) && OF_KEY.has(error.code))) throw error;
        loads[place] = { kind: 'failed', error };
        continue;
      }
      this.#isRefused = true;
      this.#parts.oneByOne?.(why.message);
      return this.#oneByOne(keys.slice(i + 1), request, loads);
    }
  }

  async #statement(form: ManyForm, keys: readonly Key[], request: LoadRequest, loads: KeyLoad[]): Promise<void> {
    const { family, pools, valueOf, monotonicMs } = this.#parts;
    const query = sourceManyQuery(
      form,
      keys.map(({ values }) => values),
    );
    const beganMs = monotonicMs();
    const { columns, rows, evidence } = await readBySource(family.reads, pools, query, request);
    const nowMs = monotonicMs();
    this.#size.took(keys.length, nowMs - beganMs, nowMs);
    const ofKey = keys.map((): (readonly unknown[])[] => []);
    for (const row of rows) ofKey[Number(row[0]) - 1]?.push(row.slice(1));
    const names = columns.slice(1);
    keys.forEach(({ place }, i) => {
      try {
        loads[place] = { kind: 'loaded', loaded: { value: valueOf(names, ofKey[i] ?? []), evidence } };
      } catch (error) {
        loads[place] = { kind: 'failed', error };
      }
    });
  }

  /** One after the other: many have one place at the gate. */
  async #oneByOne(keys: readonly Key[], request: LoadRequest, loads: KeyLoad[]): Promise<void> {
    for (const { place, params } of keys) {
      request.signal.throwIfAborted();
      try {
        loads[place] = { kind: 'loaded', loaded: await this.#parts.loadOne(params, request) };
      } catch (error) {
        loads[place] = { kind: 'failed', error };
      }
    }
  }
}

function isFormRefused(error: unknown): boolean {
  return FORM_REFUSED.has((answeredSqlState(error) ?? '').slice(0, 2));
}

/** The data of some key, whatever a function of theirs gives as its code. */
function isOfData(error: unknown): boolean {
  return faultOf(answeredSqlState(error) ?? '') === 'data';
}
