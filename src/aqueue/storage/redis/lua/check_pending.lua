-- check_pending: whether there is something in each delivery of a lane.
--
-- ARGV  1 lane   2 most deliveries   3 entry after which the page begins ('' for the first)
-- Returns {'', 'empty', entry} per delivery that has nothing in it, behind the last entry of the page ('' where it is
-- the last page). Cost: O(log n) per delivery.
local stream, from = prefix.stream .. ARGV[1], ARGV[3] == '' and '-' or '(' .. ARGV[3]
local page = redis.pcall('XPENDING', stream, GROUP, from, '+', ARGV[2])
local answer = { #page == tonumber(ARGV[2]) and page[#page][1] or '' }
for _, pending in ipairs(page) do
  if not redis.call('XRANGE', stream, pending[1], pending[1])[1] then
    answer[#answer + 1] = { '', 'empty', pending[1] }
  end
end
return answer
