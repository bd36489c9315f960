-- advance: replace the state of one schedule, if it still is the one that was seen, and keep the tasks that it fires.
--
-- Atomic because a tick that is noted and not fired would be lost, and one that is fired and not noted would be fired
-- again. The first write is one that a server without memory refuses, while nothing is written yet.
--
-- KEYS  1 states of schedules   2 set of levels   3 bell
-- ARGV  1 name   2 state that was seen ('' for none)   3 new state ('' to forget it)   4 control channel
--       5 prefix of record keys   6 prefix of streams   7 prefix of schedules
--       then per task: id, payload, level, delay ms, eta ms (0: delay)
-- Returns 2 (made), 1 (it had the new state already) or 0 (it has another one). Cost: O(log n) per task.
local name, seen, state, control = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local prefix, streams, schedules = ARGV[5], ARGV[6], ARGV[7]
local kept = redis.call('HGET', KEYS[1], name) or ''
if kept == state then
  return 1
end
if kept ~= seen then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function line_up(id, payload, level)
  local entry = redis.call('XADD', streams .. level, '*', 'i', id, 'p', payload)
  redis.call('HSET', prefix .. id, 'e', entry, 'l', level)
end

local function schedule(id, payload, level, due)
  local set = schedules .. string.match(level, '^(.*):')
  redis.call('HSET', prefix .. id, 'e', '', 's', 'scheduled', 'p', payload, 'l', level)
  redis.call('ZADD', set, string.format('%.0f', due), id)
  -- By the instant and not by the id: of tasks that are due together any may stand first.
  if tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) == due then
    redis.call('PUBLISH', control, string.format('due %.0f', due - now))
  end
end

if state == '' then
  redis.call('HDEL', KEYS[1], name)
else
  redis.call('HSET', KEYS[1], name, state)
end
for i = 8, #ARGV, 5 do
  local id, payload, level, due = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 4])
  if redis.call('EXISTS', prefix .. id) == 0 then
    if due == 0 then
      due = now + tonumber(ARGV[i + 3])
    end
    if due > now then
      schedule(id, payload, level, due)
    else
      line_up(id, payload, level)
    end
    if redis.call('SADD', KEYS[2], level) == 1 then
      redis.call('XADD', KEYS[3], '*', 'l', level)
    end
  end
end
if #ARGV < 8 then
  redis.call('PUBLISH', control, 'schedule ' .. name)
end
return 2
