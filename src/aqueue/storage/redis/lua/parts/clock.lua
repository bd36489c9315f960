-- clock: the instant of this step, in ms of the server's clock.
local instant_of_step

local function clock()
  if not instant_of_step then
    local time = redis.call('TIME')
    instant_of_step = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return instant_of_step
end
