-- envelopes: what was pushed as tasks that have no verdict yet.
--
-- Parts: verdicts, entries.
--
-- ARGV  ids
-- Returns {payload, lane} per id, or an empty list. Cost: O(log n) per id.
local answer = {}
for i = 1, #ARGV do
  local kept = redis.call('HMGET', prefix.task .. ARGV[i], 'e', 's', 'l', 'p')
  local entry, lane, payload = kept[1], kept[3] or 'default:0', kept[4]
  if entry and entry ~= '' and not is_verdict[kept[2]] then
    payload = read_entry(prefix.stream .. lane, entry).p or payload
  end
  answer[i] = payload and { payload, lane } or {}
end
return answer
