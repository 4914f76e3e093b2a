#!lua flags=no-writes
-- What the server that holds a cell says of itself. A script with the cell's key, since only that finds the server in a cluster.
--
-- KEYS  1 region record
-- Returns {INFO server, INFO replication}
return {redis.call('INFO', 'server'), redis.call('INFO', 'replication')}
