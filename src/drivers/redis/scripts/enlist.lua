#!lua flags=allow-oom
-- Enters or renews an agent among the living of the region, by the server's clock. A full memory must not make it seem dead.
--
-- KEYS  1 the region's agents
-- ARGV  1 agent   2 after how many milliseconds of silence an agent lives no more
-- Returns how many live
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- What stands in the future was written by the clock of another server, before a failover.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
return redis.call('ZCARD', KEYS[1])
