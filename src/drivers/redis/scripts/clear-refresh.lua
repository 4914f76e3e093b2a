#!lua flags=allow-oom
-- Removes an owed refresh that is done, unless the key was changed again meanwhile.
--
-- KEYS  1 owed refreshes
-- ARGV  1 key   2 the value that was refreshed for
-- Returns 1 removed | 0 not
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
