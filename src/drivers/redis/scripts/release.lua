#!lua flags=allow-oom
-- Gives a cell back.
--
-- KEYS  1 region record
-- ARGV  1 owner token
-- Returns 1 given back | 0 it was another's
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '')
return 1
