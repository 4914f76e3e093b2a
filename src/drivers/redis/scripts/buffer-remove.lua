#!lua flags=allow-oom
-- Removes entries of a buffer's partition that are in Postgres. It makes room, so memory that is full must not keep it from that.
--
-- KEYS  1 the partition's stream   2 its size
-- ARGV  of each entry: its id, the keys in it, its bytes
-- Returns how many were there
-- Invariant: the size is that of the entries in the stream.
local removed, keys, bytes = 0, 0, 0
for i = 1, #ARGV, 3 do
  if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
    removed, keys, bytes = removed + 1, keys + tonumber(ARGV[i + 1]), bytes + tonumber(ARGV[i + 2])
  end
end
-- Minus nothing would be sent as "-0", which is no number to HINCRBY.
if removed > 0 then
  redis.call('HINCRBY', KEYS[2], 'keys', 0 - keys)
  redis.call('HINCRBY', KEYS[2], 'bytes', 0 - bytes)
end
-- Whatever else was done to the keys by hand, an empty stream has no size. The stream itself stays, and with it the last id that it gave.
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return removed
