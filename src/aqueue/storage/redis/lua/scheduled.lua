-- scheduled: a page of what is due later in one queue.
--
-- KEYS  1 scheduled ids of the queue, by due instant
-- ARGV  1 prefix of record keys   2 how many to pass over   3 most tasks
-- Returns {id, due instant, payload, level, failures, state} per task, the first that is due first. Cost: O(log n) and
-- O(1) per task.
local first = tonumber(ARGV[2])
local found = redis.call('ZRANGE', KEYS[1], first, first + tonumber(ARGV[3]) - 1, 'WITHSCORES')
local page = {}
for i = 1, #found, 2 do
  local kept = redis.call('HMGET', ARGV[1] .. found[i], 'p', 'l', 'f', 's')
  page[#page + 1] = { found[i], found[i + 1], kept[1] or '', kept[2] or '', kept[3] or '0', kept[4] or 'scheduled' }
end
return page
