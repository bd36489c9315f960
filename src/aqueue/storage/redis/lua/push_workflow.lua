-- push_workflow: keep all nodes of a workflow, or none if one of their ids is known.
--
-- Atomic because half a workflow would wait for ever for the other half. No write comes before the last check, and the
-- first is one that a server without memory refuses: then nothing was written.
--
-- KEYS  1 set of levels   2 bell
-- ARGV  1 prefix of record keys   2 prefix of streams   3 prefix of schedules   4 control channel
--       then per node: id, payload, level, delay ms, eta ms (0: delay), what it waits for ('' for nothing: trigger,
--       inputs, delay ms, eta ms, client), who waits for it ('' for nobody: position and id of each)
-- Returns 1 (new) or 0 (known) per node. Cost: O(log n) per node.
local prefix, schedules = ARGV[1], {}
local answer, known = {}, false
for i = 5, #ARGV, 7 do
  local exists = redis.call('EXISTS', prefix .. ARGV[i])
  answer[#answer + 1] = 1 - exists
  known = known or exists == 1
end
if known then
  return answer
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Tells this workflow from a later one in which the same ids are used again.
local stamp = time[1] .. '.' .. time[2] .. ' '

local function start(id, payload, level, due)
  if due <= now then
    local entry = redis.call('XADD', ARGV[2] .. level, '*', 'i', id, 'p', payload)
    redis.call('HSET', prefix .. id, 'e', entry, 'l', level)
    return
  end
  local schedule = ARGV[3] .. string.match(level, '^(.*):')
  redis.call('HSET', prefix .. id, 'e', '', 's', 'scheduled', 'p', payload, 'l', level)
  redis.call('ZADD', schedule, string.format('%.0f', due), id)
  schedules[schedule] = math.min(schedules[schedule] or due, due)
end

for i = 5, #ARGV, 7 do
  local id, payload, level, join, successors = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 5], ARGV[i + 6]
  if join == '' then
    local eta = tonumber(ARGV[i + 4])
    start(id, payload, level, eta > 0 and eta or now + tonumber(ARGV[i + 3]))
  else
    redis.call('HSET', prefix .. id, 'e', '', 's', 'waiting', 'p', payload, 'l', level, 'j', stamp .. join)
  end
  if successors ~= '' then
    redis.call('HSET', prefix .. id, 'n', stamp .. successors)
  end
  -- Readers get to know the level now, so that a join finds them waiting.
  if redis.call('SADD', KEYS[1], level) == 1 then
    redis.call('XADD', KEYS[2], '*', 'l', level)
  end
end
for schedule, due in pairs(schedules) do
  -- By the instant and not by the id: of tasks that are due together any may stand first.
  if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == due then
    redis.call('PUBLISH', ARGV[4], string.format('due %.0f', due - now))
  end
end
return answer
