-- ended: which of some tasks have their verdict.
--
-- Parts: verdicts.
--
-- ARGV  ids
-- Returns {id, state, result} per task that has. Cost: O(1) per id.
local found = {}
for _, id in ipairs(ARGV) do
  local kept = redis.call('HMGET', prefix.task .. id, 's', 'r')
  if is_verdict[kept[1]] then
    found[#found + 1] = { id, kept[1], kept[2] or '' }
  end
end
return found
