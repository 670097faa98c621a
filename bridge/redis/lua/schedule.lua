-- ARGV: clock, ttl, owner; then for each key gen and due. A claim that was lost is left alone.

local ttl, owner = tonumber(ARGV[2]), ARGV[3]
for i, key in ipairs(KEYS) do
    local record = own(key, owner)
    if record then
        local gen, due = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
        put_scheduled(key, gen, due, max(last_alarm(record), max(due, now) + ttl))
    end
end
return redis.status_reply('OK')
