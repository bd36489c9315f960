-- schedule: keep tasks of one level that are due later, each unless its id is known.
--
-- Atomic for the same reason as push; the payload waits in the record, because a stream entry that waits for days would
-- keep its whole node of the stream in memory.
--
-- KEYS  1 scheduled ids of the queue, by due instant   2 set of levels   3 bell
-- ARGV  1 level   2 prefix of record keys   3 control channel   then per task: id, payload, delay ms, eta ms (0: delay)
-- Returns 1 (kept) or 0 (known already) per task. Cost: O(log n) per task.
local schedule, level, prefix = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept, earliest = {}, nil
for i = 4, #ARGV, 4 do
  local id, record = ARGV[i], prefix .. ARGV[i]
  if redis.call('EXISTS', record) == 0 then
    local due = tonumber(ARGV[i + 3])
    if due == 0 then
      due = now + tonumber(ARGV[i + 2])
    end
    redis.call('HSET', record, 'e', '', 's', 'scheduled', 'p', ARGV[i + 1], 'l', level)
    redis.call('ZADD', schedule, string.format('%.0f', due), id)
    if not earliest or due < earliest then
      earliest = due
    end
    kept[#kept + 1] = 1
  else
    kept[#kept + 1] = 0
  end
end
if redis.call('SADD', KEYS[2], level) == 1 then
  redis.call('XADD', KEYS[3], '*', 'l', level)
end
-- By the instant and not by the id: of tasks that are due together any may stand first.
if earliest and tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == earliest then
  redis.call('PUBLISH', ARGV[3], string.format('due %.0f', math.max(earliest - now, 0)))
end
return kept
