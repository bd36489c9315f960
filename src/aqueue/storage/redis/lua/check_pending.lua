-- check_pending: whether there is something in each delivery of a stream.
--
-- KEYS  1 stream of a level
-- ARGV  1 entry after which the page begins ('' for the first)   2 most deliveries   3 group
-- Returns {'', 'empty', entry} per delivery that has nothing in it, behind the last entry of the page ('' where it is
-- the last page). Cost: O(log n) per delivery.
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local page = redis.pcall('XPENDING', KEYS[1], ARGV[3], from, '+', ARGV[2])
local answer = { #page == tonumber(ARGV[2]) and page[#page][1] or '' }
for _, pending in ipairs(page) do
  if not redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1] then
    answer[#answer + 1] = { '', 'empty', pending[1] }
  end
end
return answer
