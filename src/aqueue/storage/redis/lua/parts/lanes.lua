-- lanes: a lane is a queue at one priority, `<queue>:<priority>`.
local function queue_of(lane)
  return string.match(lane, '^(.*):')
end
