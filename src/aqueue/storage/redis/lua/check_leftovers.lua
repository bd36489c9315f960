-- check_leftovers: which inboxes, dead letters and requests to stop belong to nothing any more.
--
-- KEYS  1 dead letters by the instant of their end   2 tasks to cancel   then where each of those stands
-- ARGV  1 prefix of record keys   then for each: inbox, letter or request; the id of its task
-- Returns {id, what is left over, ''} each. Cost: O(log n) each.
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
local answer = {}

local function is_over(kind, id)
  local kept = redis.pcall('HMGET', ARGV[1] .. id, 'e', 's')
  if kind == 'inbox' then
    return kept[2] ~= 'waiting'
  elseif kind == 'letter' then
    return not redis.call('ZSCORE', KEYS[1], id)
  end
  return redis.call('SISMEMBER', KEYS[2], id) == 1 and (not kept[1] or is_verdict[kept[2]])
end

for k = 3, #KEYS do
  local kind, id = ARGV[2 * k - 4], ARGV[2 * k - 3]
  if redis.call('EXISTS', KEYS[k]) == 1 and is_over(kind, id) then
    answer[#answer + 1] = { id, 'left over ' .. kind, '' }
  end
end
return answer
