#!lua flags=allow-oom
-- Shows that a cell's owner lives.
--
-- KEYS  1 region record   2 cell state   3 owed sweeps
-- ARGV  1 owner token
-- Returns {1, stored offset, empty where the record or the state is lost} | {0} where another owns it
local wrong = wrongType(3)
if wrong then return wrong end
local token, count = string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):(%d+)$')
if token ~= ARGV[1] then return {0} end
redis.call('HSET', KEYS[1], 'owner', token .. ':' .. (tonumber(count) + 1))
local stored = wholeCell(KEYS[1], KEYS[2])
return {1, stored and stored[1] or ''}
