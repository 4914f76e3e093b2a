#!lua flags=no-writes,allow-oom
-- How much a buffer's partition holds, and how old it is by this server's clock, which gave the ids.
--
-- KEYS  1 the partition's stream   2 its size
-- Returns keys, bytes, age of the oldest in milliseconds
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest then return { 0, 0, 0 } end
local size = redis.call('HMGET', KEYS[2], 'keys', 'bytes')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return { tonumber(size[1] or 0), tonumber(size[2] or 0), math.max(0, now - tonumber(string.match(oldest[1], '^%d+'))) }
