#!lua flags=allow-oom
-- Unlinks values of a cell for a sweep that is owed.
--
-- KEYS  1 region record   2.. values, behind them slots beside plain ones
-- ARGV  1 owner token   2 how many are values
-- Returns how many values were there; 0 where another owns the cell
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
local last = 1 + tonumber(ARGV[2])
local unlinked = redis.call('UNLINK', unpack(KEYS, 2, last))
if #KEYS > last then redis.call('UNLINK', unpack(KEYS, last + 1)) end
return unlinked
