#!lua flags=allow-oom
-- Ends a lease without a value.
--
-- KEYS  1 slot
-- ARGV  1 token   2 channel of lease ends   3 key
-- Returns 1 ended | 0 it stood no more
local slot = redis.call('GET', KEYS[1])
if not slot then return 0 end
local holder, waited, head, tail = leaseIn(slot)
if holder ~= ARGV[1] then return 0 end
endLease(KEYS[1], head, tail)
if waited == '!' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
