#!lua flags=allow-oom
-- Shows that a cell's owner lives.
--
-- KEYS  1 region record   2 cell state
-- ARGV  1 owner token
-- Returns {1, stored offset, empty where the record or the state is lost} | {0} where another owns it
local token, count = string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):(%d+)$')
if token ~= ARGV[1] then return {0} end
redis.call('HSET', KEYS[1], 'owner', token .. ':' .. (tonumber(count) + 1))
if redis.call('HEXISTS', KEYS[2], 'epoch') == 0 then return {1, ''} end
return {1, redis.call('HGET', KEYS[1], 'offset') or ''}
