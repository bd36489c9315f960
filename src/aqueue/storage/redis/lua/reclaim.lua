-- reclaim: lend deliveries whose lease has run out to another consumer.
--
-- Idle time in the pending list is wall-clock time: it also passes while the server is down, while every worker is
-- suspended and when the clock steps. Taking entries over right after that would run what is still running a second
-- time. So a change of server run, a clock that went back, or a lease without any reclaim starts a grace of one lease,
-- in which owners that are alive renew.
--
-- KEYS  1 epoch of the reclaimers   2 marks   3 tasks to cancel   then streams, highest priority first
-- ARGV  1 group   2 consumer   3 lease ms   4 most entries to take
--       5 deliveries that make an entry a suspect (0: none is)   6 most suspects among the entries to take
-- Returns the number of keys among 2 and 3 that exist, and {stream number, entry, count, fields} per
-- delivery. Cost: O(log pending) per delivery, and O(entries that are renewed) for the scan.
local group, consumer, lease, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('HDEL', KEYS[1], '')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HMGET', KEYS[1], 'run', 'since', 'last')
local last = tonumber(epoch[3])
local since = tonumber(epoch[2])
if epoch[1] ~= run or not since or not last or now < last or now - last > lease then
  since = now
end
redis.call('HSET', KEYS[1], 'run', run, 'since', string.format('%.0f', since), 'last', string.format('%.0f', now))
if now - since < lease then
  return { 0 }
end
local suspect_count, suspects = tonumber(ARGV[5]), tonumber(ARGV[6])
local page = 100
local taken = { redis.call('EXISTS', KEYS[2], KEYS[3]) }

local function take(k, entry, count)
  local claimed = redis.call('XCLAIM', KEYS[k], group, consumer, lease, entry)[1]
  if claimed and claimed[2] then
    taken[#taken + 1] = { k - 3, entry, count + 1, claimed[2] }
    left = left - 1
  else
    -- The body was deleted under the pending entry, by a hand that is not ours: nothing is left to run.
    redis.call('XACK', KEYS[k], group, entry)
  end
end

for k = 4, #KEYS do
  local from = '-'
  while left > 0 and from do
    local stale = redis.pcall('XPENDING', KEYS[k], group, 'IDLE', lease, from, '+', page)
    for _, pending in ipairs(stale) do
      local is_suspect = suspect_count > 0 and pending[4] >= suspect_count
      if left > 0 and (not is_suspect or suspects > 0) then
        suspects = suspects - (is_suspect and 1 or 0)
        take(k, pending[1], pending[4])
      end
    end
    from = #stale == page and '(' .. stale[page][1] or nil
  end
end
return taken
