-- waiting: which of some tasks wait for others.
--
-- ARGV  ids
-- Returns {id, payload, lane} per task that does. Cost: O(1) per id.
local found = {}
for _, id in ipairs(ARGV) do
  local kept = redis.call('HMGET', prefix.task .. id, 's', 'p', 'l')
  if kept[1] == 'waiting' then
    found[#found + 1] = { id, kept[2] or '', kept[3] or '' }
  end
end
return found
