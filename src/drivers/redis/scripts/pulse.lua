#!lua flags=allow-oom
-- Reads a key and changes it. Sent on a tracked connection it must be told of: so it shows that this connection is tracked, by a primary, and that
-- what is told arrives. Memory that is full does not keep it from being told, hence allow-oom.
--
-- KEYS  1 a key that is used once
-- ARGV  1 how long it stands, ms
-- Returns 1
-- Invariant: nothing that is read elsewhere is changed.
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
return 1
