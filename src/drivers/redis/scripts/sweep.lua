#!lua flags=allow-oom
-- Unlinks values of a cell for a sweep that is owed.
--
-- KEYS  1 region record   2.. values
-- ARGV  1 owner token
-- Returns how many were there; 0 where another owns the cell
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
return redis.call('UNLINK', unpack(KEYS, 2))
