import { readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { describeCacheStore } from './cache-store-contract.ts';
import { describeRegionStore } from './region-store-contract.ts';
import { type Limits, openRedisRegion, type RegionUnderTest } from './region-under-test.ts';

let server: RedisServer;

before(async () => {
  server = await startRedis();
});
after(async () => {
  await server?.stop();
});

const open = (): Promise<RegionUnderTest> => openRedisRegion(server.url, server.url);
describeCacheStore('a region in Redis, for its readers', open);
describeRegionStore('a region in Redis, for its agents', open);

/** A user who may do what the manual's line for him says, and nothing else. */
async function openWithRightsOf(who: Limits['who']): Promise<string> {
  const manual = readFileSync(new URL('../../docs/OPERATING.md', import.meta.url), 'utf8');
  const rights = manual.split('\n- **').find((item) => item.startsWith(`Redis, ${who}**`));
  const commands = /commands ([A-Z, \n]+)/u.exec(rights ?? '')?.[1]?.match(/[A-Z]+/gu) ?? [];
  const redis = await connectRedis(server.url, { name: 'test' });
  await redis.call(
    'ACL',
    'SETUSER',
    who,
    'on',
    '>secret',
    '~shop:*',
    '~afterwrite:shop:*',
    '&afterwrite:shop:*',
    ...commands.map((one) => `+${one}`),
  );
  redis.disconnect();
  const url = new URL(server.url);
  [url.username, url.password] = [who, 'secret'];
  return url.href;
}

const openLimited = async (who: Limits['who']): Promise<RegionUnderTest> =>
  openRedisRegion(server.url, server.url, { who, place: await openWithRightsOf(who) });
describeCacheStore('a region in Redis, for readers by the rights that the manual names', () =>
  openLimited('application'),
);
describeRegionStore('a region in Redis, for agents by the rights that the manual names', () => openLimited('agent'));
