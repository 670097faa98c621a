-- ARGV: clock, lease, owner. Answers for each key 1, or 0 where the claim was lost.

local ends, answers = now + tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
    local record = own(key, ARGV[3])
    if record then
        record.ends = max(record.ends, ends)
        put_claim(key, record)
    end
    answers[i] = record and 1 or 0
end
return answers
