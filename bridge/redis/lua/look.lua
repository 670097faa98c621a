-- ARGV: clock. Answers how it stands with each key.

local answers = {}
for i, key in ipairs(KEYS) do
    answers[i] = standing(current(key))
end
return answers
