-- Adds a run of events, all of them or none. KEYS: stream, place. ARGV: fence, offset before, offset after, length_max, then six
-- values for each event: entry id, id, type, time, key, data.
-- Answers 'done', or what is wrong: 'taken', 'gone', 'behind', 'moved'.
local place = redis.call('HMGET', KEYS[2], 'fence', 'offset', 'last')
if not place[1] then
  return 'gone'
end
if place[1] ~= ARGV[1] then
  return 'taken'
end
if (place[2] or '') ~= ARGV[2] then
  return 'behind'
end
local last = '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
if last ~= place[3] then
  return 'moved'
end
for i = 5, #ARGV, 6 do
  last = redis.call('XADD', KEYS[1], ARGV[i], 'id', ARGV[i + 1], 'type', ARGV[i + 2], 'time', ARGV[i + 3], 'key', ARGV[i + 4],
    'data', ARGV[i + 5])
end
if ARGV[4] ~= '0' and #ARGV > 4 then
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[4])
end
redis.call('HSET', KEYS[2], 'offset', ARGV[3], 'last', last)
return 'done'
