-- reclaim: lend deliveries whose lease has run out to another consumer.
--
-- A lease has run out when its owner has not renewed it for the time that the owner lends for, which need not be ours.
-- But idle time in the pending list is wall-clock time: it also passes while the server is down, while every worker is
-- suspended and when the clock steps. Taking entries over right after that would run what is still running a second
-- time. So time counts towards leases of one length only since the server started, since the clock went back, and since
-- nobody had looked for longer than that: in the lease that begins then, owners that are alive renew.
--
-- Parts: clock.
--
-- ARGV  1 consumer   2 its lease ms   3 most entries to take   4 deliveries that make an entry a suspect (0: none is)
--       5 most suspects among the entries to take   then lanes, highest priority first
-- Returns a number that is not 0 if anything is revoked or to be cancelled, and {number of the lane, entry, count,
-- fields} per delivery, of what is not paused. Cost: O(log pending) per delivery, and O(entries that are renewed) for
-- the scan.
local consumer, lease, left = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('HDEL', key.reclaimer, '')
redis.call('ZADD', key.leases, lease, consumer)
local now = clock()

-- For how long nobody looked, though somebody should have.
local function pause()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
  local known = redis.call('HMGET', key.reclaimer, 'run', 'last', 'due')
  local last, due = tonumber(known[2]), tonumber(known[3])
  redis.call('HSET', key.reclaimer, 'run', run)
  redis.call('HSET', key.reclaimer, 'last', string.format('%.0f', now), 'due', string.format('%.0f', now + lease))
  if known[1] ~= run or not last or not due or now < last then
    return math.huge
  end
  return now > due and now - last or 0
end

-- Since when time counts, by the length of leases.
local since = {}
local function begin(length)
  since[length] = now
  redis.call('HSET', key.reclaimer, string.format('%.0f', length), string.format('%.0f', now))
end

local paused_for = pause()
local fields = redis.call('HGETALL', key.reclaimer)
for i = 1, #fields, 2 do
  local length = tonumber(fields[i])
  if length and length < paused_for then
    begin(length)
  elseif length then
    since[length] = tonumber(fields[i + 1])
  end
end
if not since[lease] then
  begin(lease)
end

local lengths = {}
local function has_run_out(owner, idle)
  local length = lengths[owner] or tonumber(redis.call('ZSCORE', key.leases, owner) or lease)
  lengths[owner] = length
  if not since[length] then
    begin(length)
  end
  return math.min(idle, now - since[length]) >= length
end

local suspect_count, suspects = tonumber(ARGV[4]), tonumber(ARGV[5])
local shortest = redis.call('ZRANGE', key.leases, 0, 0, 'WITHSCORES')[2]
local page = 100
local taken = { redis.call('EXISTS', key.revocations, key.to_cancel) }

local function take(number, stream, entry, count)
  local claimed = redis.call('XCLAIM', stream, GROUP, consumer, 0, entry)[1]
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
    local stale = redis.pcall('XPENDING', stream, GROUP, 'IDLE', shortest, from, '+', page)
    for _, pending in ipairs(stale) do
      local is_suspect = suspect_count > 0 and pending[4] >= suspect_count
      if left > 0 and (not is_suspect or suspects > 0) and has_run_out(pending[2], pending[3]) then
        suspects = suspects - (is_suspect and 1 or 0)
        take(i - 5, stream, pending[1], pending[4])
      end
    end
    from = #stale == page and '(' .. stale[page][1] or nil
  end
end
return taken
