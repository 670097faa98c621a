-- ARGV: clock, owner. Own claims become what they were before.

for _, key in ipairs(KEYS) do
    local record = own(key, ARGV[2])
    if record then
        local was = record.was and parse(record.was)
        if was and was.ends > now then
            put(key, was.text, was.ends)
        else
            redis.call('DEL', key)
        end
    end
end
return redis.status_reply('OK')
