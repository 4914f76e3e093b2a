#!lua flags=allow-oom
-- Takes the oldest reports of what processes read out of the stream: what is lost behind the answer are some seconds of counting. It makes room, so it
-- must work when memory is full.
--
-- KEYS  1 the stream
-- ARGV  1 how many
-- Returns the reports; false in the place of an entry that has none
local reports, ids = {}, {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])) do
  ids[#ids + 1] = entry[1]
  local report = false
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'r' then report = entry[2][i + 1] end
  end
  reports[#reports + 1] = report
end
if #ids > 0 then redis.call('XDEL', KEYS[1], unpack(ids)) end
return reports
