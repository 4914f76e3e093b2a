#!lua
-- Appends a window to a buffer's partition, unless the partition has its share of the buffer already. Without allow-oom: a server whose memory is
-- full says so before anything is written.
--
-- KEYS  1 the partition's stream   2 its size: a hash of keys and bytes
-- ARGV  1 writer   2 its number   3 data   4 keys in it   5 keys at most   6 bytes at most; 0 for both where it must land   7 its shape
-- Returns 1 appended, 0 full
-- Invariant: the size is that of the entries in the stream. Both are written, or neither.
local size = redis.call('HMGET', KEYS[2], 'keys', 'bytes')
local keys, bytes = tonumber(size[1] or 0), tonumber(size[2] or 0)
local keysMax, bytesMax = tonumber(ARGV[5]), tonumber(ARGV[6])
-- An entry that is larger than a share still finds room in an empty partition.
if keysMax > 0 and keys > 0 and (keys + tonumber(ARGV[4]) > keysMax or bytes + #ARGV[3] > bytesMax) then return 0 end
redis.call('XADD', KEYS[1], '*', 'w', ARGV[1], 's', ARGV[2], 'c', ARGV[7], 'k', ARGV[4], 'd', ARGV[3])
redis.call('HINCRBY', KEYS[2], 'keys', ARGV[4])
redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[3])
return 1
