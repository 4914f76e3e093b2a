import type { ReadToken } from '../protocol/read-token.ts';
import { Flight, type FlightKind, type SeenLease } from './flight.ts';

/** The loads under way in this process, by key. There may be several of a key: a reader does not join one that may be older than he is. */
export class Flights {
  readonly #byKey = new Map<string, Flight[]>();

  get all(): Flight[] {
    return [...this.#byKey.values()].flat();
  }

  /** The flight that a reader may wait for. */
  find(key: string, seen: SeenLease | undefined, token: ReadToken | undefined, kind: FlightKind): Flight | undefined {
    return this.#byKey.get(key)?.find((flight) => flight.takes(seen, token, kind));
  }

  /** The last flight of a key. */
  last(key: string): Flight | undefined {
    return this.#byKey.get(key)?.at(-1);
  }

  start(key: string, token: ReadToken | undefined, kind: FlightKind): Flight {
    const flight = new Flight(key, token, kind);
    const flights = this.#byKey.get(key);
    if (flights === undefined) this.#byKey.set(key, [flight]);
    else flights.push(flight);
    return flight;
  }

  remove(flight: Flight): void {
    const flights = this.#byKey.get(flight.key);
    if (flights === undefined) return;
    const at = flights.indexOf(flight);
    if (at >= 0) flights.splice(at, 1);
    if (flights.length === 0) this.#byKey.delete(flight.key);
  }
}
