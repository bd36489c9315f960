-- settle_linked: record the verdicts of deliveries of one level, each if its receipt still holds, and move those on who
-- wait for them.
--
-- Atomic for the reasons of settle, and because a crash between a verdict and what follows from it would leave the rest
-- of the workflow waiting for ever, or run a part of it twice.
--
-- KEYS  1-3 those of follow   4 stream of the level
-- ARGV  1-10 those of follow   11 consumer
--       then per task: entry, count, id, state, result, ttl ms, client that waits ('' for none)
-- Returns per task 1 (settled), 0 (someone else owns it) or -1 (the entry is gone). Cost: O(log pending) per task, O(1)
-- per node that waits for it, and O(inputs) for one that has them all.
local stream, answer = KEYS[4], {}
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('XACK', stream, group, '0-1')
for i = 12, #ARGV, 7 do
  local entry, id, state, result, ttl = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  -- An error means that the stream or its group vanished, and the entry with it.
  local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
  if type(pending) ~= 'table' then
    answer[#answer + 1] = -1
  elseif pending[2] ~= ARGV[11] or pending[4] ~= tonumber(ARGV[i + 1]) then
    answer[#answer + 1] = 0
  else
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    record_verdict(id, state, result, ttl, ARGV[i + 6])
    move_on(id, state, result, ttl)
    answer[#answer + 1] = 1
  end
end
publish()
return answer
