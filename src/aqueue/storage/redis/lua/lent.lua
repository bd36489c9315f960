-- lent: a page of what is lent of one lane.
--
-- Parts: clock, entries.
--
-- ARGV  1 lane   2 most tasks   3 entry after which the page begins ('' for the first)
-- Returns {entry, fields, consumer, instant at which the lease runs out, deliveries} per task. Cost: O(log n) per task.
local stream, page = prefix.stream .. ARGV[1], {}
local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
for _, pending in ipairs(redis.pcall('XPENDING', stream, GROUP, from, '+', ARGV[2])) do
  local found = redis.call('XRANGE', stream, pending[1], pending[1])[1]
  local lease = redis.call('ZSCORE', key.leases, pending[2]) or 0
  local fields = found and with_payload(found[2]) or {}
  page[#page + 1] = { pending[1], fields, pending[2], clock() - pending[3] + lease, pending[4] }
end
return page
