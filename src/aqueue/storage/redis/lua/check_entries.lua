-- check_entries: whether each entry of a lane is that of a task, and the only one.
--
-- Parts: verdicts.
--
-- ARGV  1 lane   2 most entries   3 entry after which the page begins ('' for the first)
-- Returns {id, what is wrong, entry} per entry that is not, behind the last entry of the page ('' where it is the last
-- page). Cost: O(1) per entry.
local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
local page = redis.call('XRANGE', prefix.stream .. ARGV[1], from, '+', 'COUNT', ARGV[2])
local answer = { #page == tonumber(ARGV[2]) and page[#page][1] or '' }

local function check(entry, id)
  local kept = redis.pcall('HMGET', prefix.task .. id, 'e', 's')
  if kept.err then
    -- No hash: that is found where the keys are looked at.
    return nil
  elseif not kept[1] and not kept[2] then
    return 'no record'
  elseif is_verdict[kept[2]] then
    return 'ended'
  end
  return kept[1] ~= entry and 'twice' or nil
end

for _, found in ipairs(page) do
  local fields, id, wrong = found[2], '', 'stranger'
  if fields[1] == 'i' and (fields[3] == 'p' or fields[3] == 'z') then
    id = fields[2]
    wrong = check(found[1], id)
  end
  if wrong then
    answer[#answer + 1] = { id, wrong, found[1] }
  end
end
return answer
