#!lua
-- Appends what a process tells at one time of its reads. Without allow-oom: a server whose memory is full has no room for it.
--
-- KEYS  1 the stream
-- ARGV  1 how many reports it holds at most   2 for how many milliseconds it stays   3 … the reports
for i = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'r', ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
