#!lua flags=allow-oom
-- Ends a lease without a value.
--
-- KEYS  1 slot
-- ARGV  1 token   2 channel of lease ends   3 key
-- Returns 1 ended | 0 it stood no more
local slot = redis.call('GET', KEYS[1])
if not slot then return 0 end
local holder, waited = string.match(slot, '^aw1 l %S+ (%w+)(!?)$')
if holder == ARGV[1] then redis.call('UNLINK', KEYS[1])
else
  local head, lease, tail = string.match(slot, '^(aw1 [vn] %S+ %S+ %S+ %S+ )(%S+)( %S+\n.*)$')
  if not lease then return 0 end
  holder, waited = string.match(lease, '^(%w+):%d+(!?)$')
  if holder ~= ARGV[1] then return 0 end
  redis.call('SET', KEYS[1], head .. '-' .. tail, 'KEEPTTL')
end
if waited == '!' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
