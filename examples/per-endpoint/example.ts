import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import { serve } from './service.ts';

export default async function perEndpoint({ cache, pool, until }: Example): Promise<void> {
  const service = await serve(cache);
  try {
    for (const url of [service.fastifyUrl, service.expressUrl]) {
      const product = await get(`${url}/products/1`);
      assert.match(product.headers.get('cache-control') ?? '', /^public, max-age=\d+, stale-while-revalidate=3600$/);
      const stock = await get(`${url}/products/1/stock`);
      assert.equal(stock.headers.get('cache-control'), 'public, no-cache');
      const orders = await get(`${url}/orders`, { 'x-customer': '7' });
      assert.match(orders.headers.get('cache-control') ?? '', /^private, max-age=/);
      for (const { url: asked, status, headers } of [product, stock, orders])
        console.log(status, new URL(asked).pathname, headers.get('cache-control'), headers.get('etag'));

      const tag = stock.headers.get('etag') ?? '';
      assert.equal((await get(`${url}/products/1/stock`, { 'if-none-match': tag })).status, 304);
      await pool.query('update stock set pieces = pieces - 1 where product_id = 1');
      await until('the stock has another tag, by the bus', async () => {
        const { status } = await get(`${url}/products/1/stock`, { 'if-none-match': tag });
        return status === 200;
      });
    }
    console.log('A sale, and the old tag is answered by 200 on both.');
  } finally {
    await service.close();
  }
}

async function get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const answer = await fetch(url, { headers });
  await answer.arrayBuffer();
  return answer;
}
