-- ARGV: clock, ttl. Cancels what is scheduled; answers how it stood before.

local answers = {}
for i, key in ipairs(KEYS) do
    local record = current(key)
    answers[i] = standing(record)
    if record and record.kind == 'S' then
        local ends = max(record.ends, now + tonumber(ARGV[2]))
        put(key, format('X %.0f %.0f', record.gen, ends), ends)
    end
end
return answers
