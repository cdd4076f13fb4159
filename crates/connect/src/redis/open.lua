-- Takes the stream over. KEYS: stream, place. ARGV: log_id, partition, sink.
-- Answers {'open', fence, offset or '', last, incarnation or ''}, or what is wrong: {'type', type}, {'foreign', last}, {'other', log_id, partition, sink},
-- {'moved', last, last written}.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return {'type', kind}
end
local last = '0-0'
if kind == 'stream' then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local place = redis.call('HMGET', KEYS[2], 'log_id', 'partition', 'sink', 'last', 'offset', 'incarnation')
if not place[1] then
  if last ~= '0-0' then
    return {'foreign', last}
  end
  redis.call('HSET', KEYS[2], 'log_id', ARGV[1], 'partition', ARGV[2], 'sink', ARGV[3], 'last', '0-0')
elseif place[1] ~= ARGV[1] or place[2] ~= ARGV[2] or place[3] ~= ARGV[3] then
  return {'other', place[1], place[2] or '', place[3] or ''}
elseif place[4] ~= last then
  return {'moved', last, place[4] or ''}
end
return {'open', redis.call('HINCRBY', KEYS[2], 'fence', 1), place[5] or '', last, place[6] or ''}
