-- push_workflow: keep all nodes of a workflow, or none if one of their ids is known.
--
-- Atomic because half a workflow would wait for ever for the other half. No write comes before the last check, and the
-- first is one that a server without memory refuses: then nothing was written.
--
-- Parts: envelopes.
--
-- ARGV  per node: its envelope, what it waits for ('' for nothing: trigger, inputs, when it is due after that, client),
--       which nodes wait for it ('' for none: position and id of each)
-- Returns 1 (new) or 0 (known) per node. Cost: O(log n) per node.
local NODE = ENVELOPE + 2
local answer, known = {}, false
for i = 1, #ARGV, NODE do
  local exists = redis.call('EXISTS', prefix.task .. ARGV[i])
  answer[#answer + 1] = 1 - exists
  known = known or exists == 1
end
if known then
  return answer
end
-- Tells this workflow from a later one in which the same ids are used again.
local stamp = string.format('%.0f ', clock())

local function wait(id, payload, lane, join)
  -- Readers get to know the lane now, so that the inputs of the node find them waiting.
  streams[lane] = prefix.stream .. lane
  redis.call('HSET', prefix.task .. id, 'e', '', 's', 'waiting', 'p', payload, 'l', lane, 'j', stamp .. join)
end

for i = 1, #ARGV, NODE do
  local id, payload, lane, due = envelope_at(i)
  local join, successors = ARGV[i + ENVELOPE], ARGV[i + ENVELOPE + 1]
  if join == '' then
    enter(id, payload, lane, due)
  else
    wait(id, payload, lane, join)
  end
  if successors ~= '' then
    redis.call('HSET', prefix.task .. id, 'n', stamp .. successors)
  end
end
announce()
return answer
