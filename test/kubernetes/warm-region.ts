// What a warm-up's container runs in a test: it tells the region's gate that its shard is warm, and ends. The address comes by the template.
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';

const {
  REDIS_URL = '',
  GATE_KEY = '',
  AFTERWRITE_EPOCH = '',
  AFTERWRITE_SHARDS = '',
  JOB_COMPLETION_INDEX = '',
} = process.env;
const redis = await connectRedis(REDIS_URL, { name: 'warm-region' });
const shard = { shard: Number(JOB_COMPLETION_INDEX), of: Number(AFTERWRITE_SHARDS) };
const answer = await new RedisGateStore(redis, GATE_KEY).warm(AFTERWRITE_EPOCH, shard);
redis.disconnect();
process.exit(answer === 'ok' ? 0 : 43);
