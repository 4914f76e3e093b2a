import type { DemoPlan } from './bus.ts';

/** The demo's shop: who is in which organisation, and which keys a change of a user makes old. */
export const ORGS = 200;
export const USERS = 2000;

export interface ShopChange {
  readonly userId: number;
  readonly fromOrg: number;
  readonly toOrg: number;
}

/** One user in five moves; the others change their name. */
const MOVES = 0.2;

/** Knows what the database holds, since the demo is its only writer. */
export class Shop {
  readonly #orgOfUser: number[];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
    this.#orgOfUser = Array.from({ length: USERS + 1 }, (_, id) => orgAtStart(id));
  }

  /** A change at random whose keys pass `isFree`, or undefined if none was found in a few tries. */
  propose(isFree: (keys: readonly string[]) => boolean): ShopChange | undefined {
    for (let tries = 0; tries < 20; tries++) {
      const userId = 1 + Math.floor(this.#random() * USERS);
      const fromOrg = this.#orgOfUser[userId] ?? 1;
      const toOrg = this.#random() < MOVES ? 1 + Math.floor(this.#random() * ORGS) : fromOrg;
      const change = { userId, fromOrg, toOrg };
      if (isFree(keysOf(change))) return change;
    }
    return undefined;
  }

  apply(change: ShopChange): void {
    this.#orgOfUser[change.userId] = change.toOrg;
  }
}

export function orgAtStart(userId: number): number {
  return 1 + (userId % ORGS);
}

/** The cache keys that a change of a user makes old: written here by hand, not by the router that is on trial. */
export function keysOf(change: ShopChange): string[] {
  const keys = [`user:${change.userId}`, `org:${change.fromOrg}:members`];
  if (change.toOrg !== change.fromOrg) keys.push(`org:${change.toOrg}:members`);
  return keys;
}

export function allKeys(): string[] {
  const users = Array.from({ length: USERS }, (_, i) => `user:${i + 1}`);
  const orgs = Array.from({ length: ORGS }, (_, i) => `org:${i + 1}:members`);
  return [...users, ...orgs];
}

const SCHEMA = `
create table public.orgs (id bigint primary key, name text not null);
create table public.users (id bigint primary key, org_id bigint references public.orgs, name text not null, email text not null);
insert into public.orgs select n, 'Organisation ' || n from generate_series(1, ${ORGS}) n;
insert into public.users select n, 1 + n % ${ORGS}, 'User ' || n, 'user' || n || '@example.com' from generate_series(1, ${USERS}) n;
`;

export const SHOP_PLAN: DemoPlan = {
  schema: SCHEMA,
  file: {
    families: {
      user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } }, tags: ['org:{org_id}'] },
      'org-members': { key: 'org:{org_id}:members', ttl: '10m', on: { users: { org_id: 'org_id' } } },
    },
    tags: { 'org:{id}': { on: { orgs: { id: 'id' } } } },
  },
};

export const CHANGE_USER = 'update public.users set org_id = $2, name = $3 where id = $1';
