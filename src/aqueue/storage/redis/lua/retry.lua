-- retry: put tasks back in line of which there are dead letters, each if its id is not in use.
--
-- Atomic because two who ask at once must put it back once, and because a task that were in line before its letter is
-- gone could fail again and lose the new letter. XADD comes first: on a server without memory it is refused before
-- anything was written.
--
-- KEYS  1 dead letters by the instant of their end   2 set of levels   3 bell
-- ARGV  1 prefix of dead letters   2 prefix of record keys   3 prefix of streams
--       then per task: id, 1 if it gets another payload, that payload
-- Returns per task 1 (in line), 0 (there is no letter, or its id is in use) or -1 (no letter, but it is in
-- line). Cost: O(log n) per task.
local answer = {}

local function revive(id, payload)
  local letter, record = ARGV[1] .. id, ARGV[2] .. id
  local kept = redis.call('HMGET', letter, 'p', 'l', 'b')
  local known = redis.call('HMGET', record, 'e', 's')
  local in_use = (known[1] or known[2]) and known[2] ~= 'failed' and known[2] ~= 'dead'
  if not kept[1] or in_use then
    return (not kept[1] and in_use) and -1 or 0
  end
  local level = kept[2]
  local entry = redis.call('XADD', ARGV[3] .. level, '*', 'i', id, 'p', payload or kept[1], 'b', kept[3], 'f', 0)
  redis.call('DEL', record, letter)
  redis.call('HSET', record, 'e', entry, 'l', level)
  redis.call('ZREM', KEYS[1], id)
  if redis.call('SADD', KEYS[2], level) == 1 then
    redis.call('XADD', KEYS[3], '*', 'l', level)
  end
  return 1
end

for i = 4, #ARGV, 3 do
  answer[#answer + 1] = revive(ARGV[i], ARGV[i + 1] == '1' and ARGV[i + 2] or nil)
end
return answer
