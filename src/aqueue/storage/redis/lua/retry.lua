-- retry: put tasks back in line of which there are dead letters, each if its id is not in use.
--
-- Atomic because of two callers that ask at once only one may put it back, and because a task that is in line while its
-- letter is still there could fail again and lose the new letter.
--
-- Parts: enter.
--
-- ARGV  per task: id, 1 if it gets another payload, that payload
-- Returns per task 1 (in line), 0 (there is no letter, or its id is in use) or -1 (no letter, but it is in
-- line). Cost: O(log n) per task.
local answer = {}

local function revive(id, payload)
  local letter, record = prefix.dead .. id, prefix.task .. id
  local kept = redis.call('HMGET', letter, 'p', 'l', 'b')
  local known = redis.call('HMGET', record, 'e', 's')
  local in_use = (known[1] or known[2]) and known[2] ~= 'failed' and known[2] ~= 'dead'
  if not kept[1] or in_use then
    return (not kept[1] and in_use) and -1 or 0
  end
  enter(id, payload or kept[1], kept[2], 0, 'queued', kept[3], 0)
  -- Its verdict is forgotten.
  redis.call('HDEL', record, 'r', 'g', 'n')
  redis.call('PERSIST', record)
  redis.call('DEL', letter)
  redis.call('ZREM', key.dead, id)
  return 1
end

for i = 1, #ARGV, 3 do
  answer[#answer + 1] = revive(ARGV[i], ARGV[i + 1] == '1' and ARGV[i + 2] or nil)
end
announce()
return answer
