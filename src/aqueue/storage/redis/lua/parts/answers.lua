-- answers: what a call was answered that its caller may repeat, because the reply can get lost.
--
-- ARGV  1 token of the call   2 ms to remember its answer
local answer_key = prefix.answers .. ARGV[1]

-- Whether this call was made before, and what it was answered (false for nothing).
local function earlier_answer()
  if redis.call('EXISTS', answer_key) == 0 then
    return false
  end
  return true, redis.call('HGET', answer_key, 'a')
end

-- Keeps an answer, or with nil that the answer is nothing.
local function remember(answer)
  redis.call('HSET', answer_key, answer == nil and 'n' or 'a', answer or 1)
  redis.call('PEXPIRE', answer_key, ARGV[2])
end
