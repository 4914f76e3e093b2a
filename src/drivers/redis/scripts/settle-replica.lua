#!lua flags=allow-oom
-- Raises the settled mark of the read replicas in a cell. It never goes back within an epoch.
--
-- KEYS  1 region record
-- ARGV  1 owner token   2 the mark, "<timeline>:<lsn>" in hex
-- Returns 1 raised | 0 not
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
local stored = redis.call('HGET', KEYS[1], 'settledReplica')
if not stored or not lessMark(stored, ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'settledReplica', ARGV[2])
return 1
