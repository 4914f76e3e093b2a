#!lua flags=allow-oom
-- Removes an owed sweep that is done, unless it was raised again meanwhile.
--
-- KEYS  1 region record   2 owed sweeps
-- ARGV  1 owner token   2 field   3 the value that was swept for
-- Returns 1 removed | 0 not
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return 0 end
return redis.call('HDEL', KEYS[2], ARGV[2])
