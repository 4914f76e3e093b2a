#!lua flags=allow-oom
-- Takes a cell whose owner is what the caller saw.
--
-- KEYS  1 region record   2 cell state   3 owed sweeps
-- ARGV  1 the owner that was seen, empty for none   2 the new owner's token
-- Returns 1 taken | 0 refused
local wrong = wrongType(3)
if wrong then return wrong end
local owner = redis.call('HGET', KEYS[1], 'owner') or ''
if owner ~= ARGV[1] then return 0 end
local count = tonumber(string.match(owner, ':(%d+)$') or 0)
redis.call('HSET', KEYS[1], 'owner', ARGV[2] .. ':' .. (count + 1))
return 1
