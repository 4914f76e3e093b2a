import type { BusConfig, Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { KEY_BYTES_MAX, type KeyType, printKeyParameter } from '../protocol/key-parameter.ts';
import { printKey } from '../protocol/key-template.ts';
import type { Invalidation } from '../protocol/invalidation.ts';

/** The prefix of `pg_logical_emit_message` that speaks to Afterwrite. Others are somebody else's. */
export const MESSAGE_PREFIX = 'afterwrite';

/** The types of each family's key parameters, in order, as the catalog gives them. What no rule's column types is text. */
export type ParameterTypes = ReadonlyMap<string, readonly KeyType[]>;

export interface MessageMeaning {
  readonly items: readonly Invalidation[];
  /** Tables of which all is old, as `schema.name`: the event trigger sends these. */
  readonly tables: readonly string[];
  /** What could not be understood, in words. Then `items` and `tables` say what it may have meant at most, or `everything` is true. */
  readonly faults: readonly string[];
  readonly everything: boolean;
}

/**
 * Reads what an application emits inside its transaction:
 *
 *     select pg_logical_emit_message(true, 'afterwrite',
 *       '{"keys": [{"family": "user", "params": {"id": 42}}], "families": ["org-members"], "tags": ["org:7"], "tables": ["public.users"]}');
 *
 * A part that cannot be understood widens: a key to its family, anything else to everything the bus knows. A database may feed several buses: with
 * `"bus": "shop"` the message is that one's alone, and to the others says nothing.
 */
export function readApplicationMessage(content: string, config: BusConfig, types: ParameterTypes): MessageMeaning {
  const reading = new Reading(config, types);
  try {
    reading.read(JSON.parse(content));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    reading.giveUp('the message is no JSON');
  }
  return reading;
}

class Reading implements MessageMeaning {
  readonly items: Invalidation[] = [];
  readonly tables: string[] = [];
  readonly faults: string[] = [];
  everything = false;
  readonly #config: BusConfig;
  readonly #types: ParameterTypes;

  constructor(config: BusConfig, types: ParameterTypes) {
    this.#config = config;
    this.#types = types;
  }

  giveUp(fault: string): void {
    this.faults.push(fault);
    this.everything = true;
  }

  read(message: unknown): void {
    if (!isObject(message)) return this.giveUp('the message is no JSON object');
    const { bus, ...parts } = message;
    if (bus !== undefined && typeof bus !== 'string') return this.giveUp('the bus is no text');
    if (bus !== undefined && bus !== this.#config.bus) return;
    for (const [part, list] of Object.entries(parts)) {
      const readOne = this.#readerOf(part);
      if (readOne === undefined) this.giveUp(`"${part}" is none of bus, keys, families, tags, tables`);
      else if (!Array.isArray(list)) this.giveUp(`"${part}" is no list`);
      else list.forEach(readOne);
    }
  }

  #readerOf(part: string): ((raw: unknown) => void) | undefined {
    switch (part) {
      case 'keys':
        return (raw) => this.#key(raw);
      case 'families':
        return (raw) => this.#withFamily(raw, (family) => this.#family(family));
      case 'tags':
        return (raw) => this.#tag(raw);
      case 'tables':
        return (raw) => (typeof raw === 'string' ? this.tables.push(raw) : this.giveUp('a table is no text'));
      default:
        return undefined;
    }
  }

  #withFamily(name: unknown, act: (family: Family) => void): void {
    const family = typeof name === 'string' ? this.#config.families.get(name) : undefined;
    if (family === undefined) return this.giveUp(`${JSON.stringify(name)} is no family of the file`);
    act(family);
  }

  #family(family: Family): void {
    this.items.push({ scope: 'family', family: family.name, act: family.whenChanged });
  }

  #tag(raw: unknown): void {
    if (typeof raw !== 'string') return this.giveUp('a tag is no text');
    if (bytesOf(raw) > KEY_BYTES_MAX) return this.giveUp(`a tag is longer than ${KEY_BYTES_MAX} bytes`);
    this.items.push({ scope: 'tag', tag: raw });
  }

  #key(raw: unknown): void {
    if (!isObject(raw)) return this.giveUp('a key is no object of "family" and "params"');
    this.#withFamily(raw['family'], (family) => {
      const key = this.#print(family, raw['params']);
      if (key === undefined) this.#family(family);
      else this.items.push({ scope: 'key', family: family.name, act: family.whenChanged, key });
    });
  }

  #print(family: Family, params: unknown): string | undefined {
    const types = this.#types.get(family.name) ?? [];
    if (!isObject(params)) {
      this.faults.push(`a key of family "${family.name}" lacks its "params"`);
      return undefined;
    }
    try {
      const printed = family.key.parameters.map((name, i) => printKeyParameter(types[i] ?? 'text', params[name]));
      const key = printKey(family.key, printed);
      if (bytesOf(key) <= KEY_BYTES_MAX) return key;
      this.faults.push(`a key of family "${family.name}" is longer than ${KEY_BYTES_MAX} bytes`);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      this.faults.push(`a key of family "${family.name}": ${error.message}`);
    }
    return undefined;
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function isObject(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}
