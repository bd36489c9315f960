-- check_leftovers: which inboxes, dead letters and requests to stop belong to nothing any more.
--
-- Parts: verdicts.
--
-- ARGV  1 inbox, letter or request   then ids of their tasks
-- Returns {id, what is left over, ''} each. Cost: O(log n) each.
local kind, answer = ARGV[1], {}

local function is_over(id)
  local kept = redis.pcall('HMGET', prefix.task .. id, 'e', 's')
  if kind == 'inbox' then
    return redis.call('EXISTS', prefix.inbox .. id) == 1 and kept[2] ~= 'waiting'
  elseif kind == 'letter' then
    return redis.call('EXISTS', prefix.dead .. id) == 1 and not redis.call('ZSCORE', key.dead, id)
  end
  return redis.call('SISMEMBER', key.to_cancel, id) == 1 and (not kept[1] or is_verdict[kept[2]])
end

for i = 2, #ARGV do
  if is_over(ARGV[i]) then
    answer[#answer + 1] = { ARGV[i], 'left over ' .. kind, '' }
  end
end
return answer
