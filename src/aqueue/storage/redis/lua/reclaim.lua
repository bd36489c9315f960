-- reclaim: lend deliveries whose lease has run out to another consumer.
--
-- Idle time in the pending list is wall-clock time: it also passes while the server is down, while every worker is
-- suspended and when the clock steps. Taking entries over right after that would run what is still running a second
-- time. So a change of server run, a clock that went back, or a lease without any reclaim starts a grace of one lease,
-- in which owners that are alive renew.
--
-- Parts: clock.
--
-- ARGV  1 consumer   2 lease ms   3 most entries to take   4 deliveries that make an entry a suspect (0: none is)
--       5 most suspects among the entries to take   then lanes, highest priority first
-- Returns a number that is not 0 if anything is revoked or to be cancelled, and {number of the lane, entry, count,
-- fields} per delivery, of what is not paused. Cost: O(log pending) per delivery, and O(entries that are renewed) for
-- the scan.
local consumer, lease, left = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('HDEL', key.reclaimer, '')
local now = clock()
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local epoch = redis.call('HMGET', key.reclaimer, 'run', 'since', 'last')
local since, last = tonumber(epoch[2]), tonumber(epoch[3])
if epoch[1] ~= run or not since or not last or now < last or now - last > lease then
  since = now
end
redis.call('HSET', key.reclaimer, 'run', run, 'since', string.format('%.0f', since), 'last', string.format('%.0f', now))
if now - since < lease then
  return { 0 }
end
local suspect_count, suspects = tonumber(ARGV[4]), tonumber(ARGV[5])
local page = 100
local taken = { redis.call('EXISTS', key.revocations, key.to_cancel) }

local function take(number, stream, entry, count)
  local claimed = redis.call('XCLAIM', stream, GROUP, consumer, lease, entry)[1]
  if claimed and claimed[2] then
    taken[#taken + 1] = { number, entry, count + 1, claimed[2] }
    left = left - 1
  else
    -- The body was deleted under the pending entry, by a hand that is not ours: nothing is left to run.
    redis.call('XACK', stream, GROUP, entry)
  end
end

for i = 6, #ARGV do
  local stream = prefix.stream .. ARGV[i]
  local from = redis.call('HEXISTS', key.paused, ARGV[i]) == 0 and '-' or nil
  while left > 0 and from do
    local stale = redis.pcall('XPENDING', stream, GROUP, 'IDLE', lease, from, '+', page)
    for _, pending in ipairs(stale) do
      local is_suspect = suspect_count > 0 and pending[4] >= suspect_count
      if left > 0 and (not is_suspect or suspects > 0) then
        suspects = suspects - (is_suspect and 1 or 0)
        take(i - 5, stream, pending[1], pending[4])
      end
    end
    from = #stale == page and '(' .. stale[page][1] or nil
  end
end
return taken
