import { BusError } from '../protocol/errors.ts';
import { jsonOfPayload } from './codec.ts';
import { entityTagOf } from './entity-tag.ts';
import type { Served } from './told.ts';

/** What is sent for a value. */
export interface Representation {
  readonly body: Uint8Array;
  readonly entityTag: string;
}

/** Makes of a value what is sent: a text or bytes as they are, anything else as JSON. */
export type Render<T> = (value: T) => unknown;

/**
 * What is sent for the values of an endpoint. The bytes are those that are stored, where they are JSON and nothing is rendered: so nothing is serialised
 * for a value that came from Redis. For one that the process holds in its memory they are made once.
 */
export class Representations<T> {
  readonly #render: Render<T> | undefined;
  readonly #made = new WeakMap<object, Representation>();

  constructor(render: Render<T> | undefined) {
    this.#render = render;
  }

  of({ value, payload, held }: Served<T>): Representation {
    const known = held === undefined ? undefined : this.#made.get(held);
    if (known !== undefined) return known;
    const render = this.#render;
    const body = render === undefined ? (jsonOfPayload(payload) ?? jsonOf(value)) : bytesOf(render(value as T));
    const made = { body, entityTag: entityTagOf(body) };
    if (held !== undefined) this.#made.set(held, made);
    return made;
  }
}

function bytesOf(rendered: unknown): Uint8Array {
  if (rendered instanceof Uint8Array) return rendered;
  return typeof rendered === 'string' ? Buffer.from(rendered, 'utf8') : jsonOf(rendered);
}

function jsonOf(value: unknown): Uint8Array {
  const text = JSON.stringify(value) as string | undefined;
  if (text !== undefined) return Buffer.from(text, 'utf8');
  throw new BusError('CACHE_OPTION_INVALID', `render returned ${typeof value}, which cannot be sent.`);
}
