-- scheduled: a page of what is due later in one queue.
--
-- ARGV  1 queue   2 most tasks   3 how many to pass over
-- Returns {id, due instant, payload, lane, failures, state} per task, the first that is due first. Cost: O(log n) and
-- O(1) per task.
local first, page = tonumber(ARGV[3]), {}
local found = redis.call('ZRANGE', prefix.due .. ARGV[1], first, first + tonumber(ARGV[2]) - 1, 'WITHSCORES')
for i = 1, #found, 2 do
  local kept = redis.call('HMGET', prefix.task .. found[i], 'p', 'l', 'f', 's')
  page[#page + 1] = { found[i], found[i + 1], kept[1] or '', kept[2] or '', kept[3] or '0', kept[4] or 'scheduled' }
end
return page
