import type { Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import type { KeyType } from '../protocol/key-parameter.ts';
import type { SourceTemplate } from '../protocol/source-template.ts';
import type { KeyParams, Loaded, LoadManyOrigin, LoadRequest, Origin } from './origin.ts';
import { SourceMany } from './source-many.ts';
import { manyFormOf, type ParameterTypes, readSource, sourceQuery } from './source-query.ts';
import { type Pools, readBySource } from './source-read.ts';

export interface SourceOriginOptions {
  readonly family: Pick<Family, 'name' | 'key' | 'source' | 'reads' | 'isList'>;
  readonly pools: Pools;
  /** The types of the key's parameters, in their order, as far as the region's rule text tells (`parseRuleText`). Asked at each load. */
  readonly keyTypes: () => readonly (KeyType | undefined)[];
  readonly monotonicMs: () => number;
  /** Told once, with the reason, where the source cannot be asked for many keys by one statement. */
  readonly oneByOne?: (why: string) => void;
}

type Row = Readonly<Record<string, unknown>>;

/** Loads a family by its `source`, on the application's pools: one key by one statement, or many. */
export class SourceOrigin implements Origin {
  readonly #options: SourceOriginOptions;
  readonly #template: SourceTemplate;
  readonly #many: SourceMany;
  #isToldUnknown = false;

  /** Throws `SOURCE_INVALID`, or `POSTGRES_POOL_INVALID` where no pool can serve the family. */
  constructor(options: SourceOriginOptions) {
    const { family, pools } = options;
    this.#options = options;
    const template = (this.#template = readSource(family.name, family.source ?? ''));
    const needed = family.reads === 'replica' ? (pools.replica ?? pools.primary) : pools.primary;
    if (needed === undefined)
      throw new BusError(
        'POSTGRES_POOL_INVALID',
        `Family "${family.name}" reads its source on the ${family.reads}, and no pool of it was passed.`,
      );
    this.#many = new SourceMany({
      ...options,
      template,
      types: () => this.#types(),
      loadOne: (params, request) => this.load(params, request),
      valueOf: (columns, rows) => this.#valueOf(columns, rows),
    });
  }

  /** Undefined as long as the parameters' types are not known, and where Postgres has refused. */
  get many(): LoadManyOrigin | undefined {
    if (!this.#many.isUsable) return undefined;
    if (manyFormOf(this.#template, this.#types()) !== undefined) return this.#many;
    // Before the region has told its rules nothing is known of any.
    const isUnknown = this.#options.keyTypes().length > 0 || this.#template.parameters.length === 0;
    if (isUnknown && !this.#isToldUnknown) {
      this.#isToldUnknown = true;
      this.#options.oneByOne?.('No rule tells the type of each of its parameters.');
    }
    return undefined;
  }

  async load(params: KeyParams, request: LoadRequest): Promise<Loaded> {
    const { family, pools } = this.#options;
    const query = sourceQuery(this.#template, this.#types(), params);
    const { columns, rows, evidence } = await readBySource(family.reads, pools, query, request);
    return { value: this.#valueOf(columns, rows), evidence };
  }

  #types(): ParameterTypes {
    const { family, keyTypes } = this.#options;
    const types = keyTypes();
    return new Map(
      family.key.parameters.flatMap((name, i): [string, KeyType][] => {
        const type = types[i];
        return type === undefined ? [] : [[name, type]];
      }),
    );
  }

  #valueOf(columns: readonly string[], rows: readonly (readonly unknown[])[]): unknown {
    const { family } = this.#options;
    if (family.isList) return rows.map((row) => rowOf(columns, row));
    if (rows.length > 1)
      throw new BusError('SOURCE_ROWS_UNEXPECTED', `The source of family "${family.name}" gave ${rows.length} rows.`, {
        at: `families.${family.name}.source`,
      });
    const [row] = rows;
    return row === undefined ? null : rowOf(columns, row);
  }
}

/** Of two columns of one name the last. */
function rowOf(columns: readonly string[], row: readonly unknown[]): Row {
  return Object.fromEntries(columns.map((name, i) => [name, row[i]]));
}
