import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createCache, isBusError } from '../../src/index.ts';
import type { Example } from '../example.ts';

export default async function alwaysATtl({ config, cache, redis }: Example): Promise<void> {
  // A family without one is refused, with its line, before anything begins.
  const text = readFileSync(config[0] ?? '', 'utf8').replace(/^ *ttl: .*\n/m, '');
  const refused = await createCache({ config: { text }, region: 'eu', redis }).catch((error: unknown) => error);
  assert.ok(isBusError(refused, 'CONFIG_INVALID'));
  console.log(refused.message);
  assert.match(refused.message, /families\.user\.ttl/);

  const users = cache.family<object, { id: number }>('user');
  await Promise.all([users.get({ id: 1 }), users.get({ id: 99 })]);
  const lefts = await Promise.all(['shop:user:1', 'shop:user:99'].map((key) => redis.pttl(key)));
  console.log(`A value ends in ${lefts[0]} ms, an absence in ${lefts[1]} ms`);
  for (const left of lefts) assert.ok(left > 0 && left <= 300_000);
}
