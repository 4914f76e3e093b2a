import type { DemoPlan } from '../bus.ts';

export const CUSTOMERS = 3000;
const ORDERS = 20_000;

/** What a customer's page shows. `orders` has no index by customer, as it does happen: a load reads all of it, a millisecond or two of a core. */
const PAGE = `select c.id, c.name, (select count(*) from public.orders o where o.customer_id = c.id) as orders from public.customers c where c.id = `;

export const CUSTOMERS_PLAN: DemoPlan = {
  schema: `
create table public.customers (id int primary key, name text not null);
create table public.orders (id int primary key, customer_id int not null, total int not null);
insert into public.customers select n, 'Customer ' || n from generate_series(1, ${CUSTOMERS}) n;
insert into public.orders select n, 1 + n % ${CUSTOMERS}, n % 1000 from generate_series(1, ${ORDERS}) n;
`,
  file: {
    // What is left out at the default of 95% would be missing from the hits that it is judged by.
    warmup: { target: '99%' },
    families: {
      customer: {
        key: 'customer:{id}',
        ttl: '10m',
        source: `${PAGE}{id}`,
        reads: 'replica',
        on: { customers: { id: 'id' } },
      },
    },
  },
};

export interface Customer {
  readonly id: number;
  readonly name: string;
  readonly orders: string;
}

export const READ_PAGE = `${PAGE}$1`;
export const RENAME = 'update public.customers set name = $2 where id = $1';

/**
 * Draws customers by Zipf's law with exponent 1, as reads of caches are spread: "Web Caching and Zipf-like Distributions", Breslau et al., 1999, found
 * 0.64 to 0.83 for pages of the web. 1 is what is published is in many load generators.
 */
export function zipfDraw(count: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i += 1) sums[i] = sum += 1 / (i + 1);
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
