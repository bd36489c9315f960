-- envelopes: what was pushed as tasks that have no verdict yet.
--
-- KEYS  records
-- ARGV  1 prefix of streams
-- Returns {payload, level} per record, or an empty list. Cost: O(log n) per record.
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
local answer = {}

local function payload_in(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if found then
    for i = 1, #found[2], 2 do
      if found[2][i] == 'p' then
        return found[2][i + 1]
      end
    end
  end
end

for k = 1, #KEYS do
  local kept = redis.call('HMGET', KEYS[k], 'e', 's', 'l', 'p')
  local entry, level, payload = kept[1], kept[3] or 'default:0', kept[4]
  if entry and entry ~= '' and not is_verdict[kept[2]] then
    payload = payload_in(ARGV[1] .. level, entry)
  end
  answer[k] = payload and { payload, level } or {}
end
return answer
