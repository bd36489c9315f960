-- advance: replace the state of one schedule, if it still is the one that was seen, and keep the tasks that it fires.
--
-- Atomic because a tick that is noted and not fired would be lost, and one that is fired and not noted would be fired
-- again. The first write is one that a server without memory refuses, while nothing is written yet.
--
-- Parts: envelopes.
--
-- ARGV  1 name   2 state that was seen ('' for none)   3 new state ('' to forget it)   then per task: its envelope
-- Returns 2 (made), 1 (it had the new state already) or 0 (it has another one). Cost: O(log n) per task.
local name, seen, state = ARGV[1], ARGV[2], ARGV[3]
local kept = redis.call('HGET', key.schedules, name) or ''
if kept == state then
  return 1
end
if kept ~= seen then
  return 0
end
if state == '' then
  redis.call('HDEL', key.schedules, name)
else
  redis.call('HSET', key.schedules, name, state)
end
for i = 4, #ARGV, ENVELOPE do
  enter(envelope_at(i))
end
announce()
if #ARGV < 4 then
  redis.call('PUBLISH', key.control, 'schedule ' .. name)
end
return 2
