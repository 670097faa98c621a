-- ARGV: clock, ttl; then for each key due. Puts off what is scheduled for earlier; answers how it stood before.

local answers = {}
for i, key in ipairs(KEYS) do
    local record, due = current(key), tonumber(ARGV[2 + i])
    answers[i] = standing(record)
    if record and record.kind == 'S' and due > record.due then
        put_scheduled(key, record.gen, due, max(record.ends, max(due, now) + tonumber(ARGV[2])))
    end
end
return answers
