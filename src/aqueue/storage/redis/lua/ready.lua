-- ready: a page of what is in line in one lane.
--
-- Parts: groups, entries.
--
-- ARGV  1 lane   2 most tasks   3 entry after which the page begins ('' for the first)
-- Returns {entry, fields, state ('' if none is recorded)} per task, the oldest first. Cost: O(log n) per task.
local stream, after, page = prefix.stream .. ARGV[1], ARGV[3], {}
if after == '' then
  after = redis.call('HGET', key.paused, ARGV[1]) or last_delivered(stream) or '0-0'
end
for _, found in ipairs(redis.call('XRANGE', stream, '(' .. after, '+', 'COUNT', ARGV[2])) do
  local fields = found[2]
  local state = fields[1] == 'i' and redis.call('HGET', prefix.task .. fields[2], 's')
  page[#page + 1] = { found[1], with_payload(fields), state or '' }
end
return page
