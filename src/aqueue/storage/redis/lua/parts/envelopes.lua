-- envelopes: how tasks stand among the arguments of a script that may put each into another lane.
--
-- Parts: enter.
local ENVELOPE = 4

-- The envelope at a position of ARGV, in the order in which enter takes it: id, payload, lane, when it is due.
local function envelope_at(i)
  return ARGV[i], ARGV[i + 1], ARGV[i + 2], instant(ARGV[i + 3])
end
