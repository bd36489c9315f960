-- waiting: which of some tasks wait for others.
--
-- KEYS  records
-- ARGV  1 length of the prefix of record keys
-- Returns {id, payload, level} per task that does. Cost: O(1) per record.
local found = {}
for k = 1, #KEYS do
  local kept = redis.call('HMGET', KEYS[k], 's', 'p', 'l')
  if kept[1] == 'waiting' then
    found[#found + 1] = { string.sub(KEYS[k], tonumber(ARGV[1]) + 1), kept[2] or '', kept[3] or '' }
  end
end
return found
