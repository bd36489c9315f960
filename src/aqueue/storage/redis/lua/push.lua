-- push: keep ready tasks of one level (a queue at one priority), each unless its id is known.
--
-- Atomic because an entry without a record could not be told from a stranger, and a record without an entry would be a
-- lost task. XADD comes first: on a server without memory it is refused before anything was written.
--
-- KEYS  1 stream of the level   2 set of levels   3 bell
-- ARGV  1 level   2 prefix of record keys   then per task: id, payload
-- Returns 1 (kept) or 0 (known already) per task. Cost: O(1) per task.
local stream, level, prefix = KEYS[1], ARGV[1], ARGV[2]
local kept = {}
for i = 3, #ARGV, 2 do
  local record = prefix .. ARGV[i]
  local entry = redis.call('XADD', stream, '*', 'i', ARGV[i], 'p', ARGV[i + 1])
  if redis.call('HSETNX', record, 'e', entry) == 1 then
    if level ~= 'default:0' then
      redis.call('HSET', record, 'l', level)
    end
    kept[#kept + 1] = 1
  else
    redis.call('XDEL', stream, entry)
    kept[#kept + 1] = 0
  end
end
if redis.call('SADD', KEYS[2], level) == 1 then
  redis.call('XADD', KEYS[3], '*', 'l', level)
end
return kept
