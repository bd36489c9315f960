-- check_scheduled: whether some ids in a schedule are those of tasks that are due later.
--
-- Parts: lanes.
--
-- ARGV  1 queue   then ids
-- Returns {id, what is wrong, state} per id that is not. Cost: O(1) per id.
local queue, answer = ARGV[1], {}

local function check(id)
  local kept = redis.pcall('HMGET', prefix.task .. id, 'e', 's', 'l')
  if kept.err then
    -- No hash: that is found where the keys are looked at.
    return nil
  elseif not kept[1] then
    return 'no record', ''
  elseif kept[1] ~= '' or (kept[2] ~= 'scheduled' and kept[2] ~= 'retrying') then
    return 'not due', kept[2] or 'queued'
  end
  return queue_of(kept[3] or '') ~= queue and 'other schedule' or nil, kept[3]
end

for i = 2, #ARGV do
  -- One that has left it since does not count.
  if redis.call('ZSCORE', prefix.due .. queue, ARGV[i]) then
    local wrong, more = check(ARGV[i])
    if wrong then
      answer[#answer + 1] = { ARGV[i], wrong, more }
    end
  end
end
return answer
