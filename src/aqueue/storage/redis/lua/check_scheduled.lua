-- check_scheduled: whether some ids in a schedule are those of tasks that are due later.
--
-- KEYS  1 scheduled ids of a queue
-- ARGV  1 prefix of record keys   2 queue   then ids
-- Returns {id, what is wrong, state} per id that is not. Cost: O(1) per id.
local answer = {}

local function check(id)
  local kept = redis.pcall('HMGET', ARGV[1] .. id, 'e', 's', 'l')
  if kept.err then
    -- No hash: that is found where the keys are looked at.
    return nil
  elseif not kept[1] then
    return 'no record', ''
  elseif kept[1] ~= '' or (kept[2] ~= 'scheduled' and kept[2] ~= 'retrying') then
    return 'not due', kept[2] or 'queued'
  end
  return string.match(kept[3] or '', '^(.*):') ~= ARGV[2] and 'other schedule' or nil, kept[3]
end

for i = 3, #ARGV do
  -- One that has left it since is none of it.
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    local wrong, more = check(ARGV[i])
    if wrong then
      answer[#answer + 1] = { ARGV[i], wrong, more }
    end
  end
end
return answer
