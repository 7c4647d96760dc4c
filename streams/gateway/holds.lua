-- Reservations in Redis. ARGV[1] is the operation, ARGV[2] the key prefix, the rest its operands. Everything here is atomic.
--
-- on:<id>  hash, by a person's or a company's id: reservation id to its record, and '#v', another word at each change
-- of:<reservation id>  its record, also for a while after it ended
-- ready    the run of the server for which all of this is complete; none after a flush, another one after a restart
-- gone:<reservation id>  its customer was erased, a short time ago
-- builder  who builds it from the log, as long as he goes on (BUILDER_MS)
--
-- hold RUN WORD ID OLD RECORD TTL_MS PLACES {place} GONE {id} {guard, word}   when all guards have these words, and the record is still
--    OLD (empty: none): "held", else "changed"
-- settle RUN WORD ID OLD NEW TTL_MS KEEP PLACES {place}   when the record is still OLD: "done", else "changed"; KEEP 0: it counts no more
-- begin RUN TOKEN BEFORE   1: nobody builds, or he who began as BEFORE and failed; go on; 2: another one does; 0: it is complete
-- load TOKEN WORD ID RECORD TTL_MS KEEP PLACES {place}    from the log
-- ready TOKEN RUN          all of the log is in
-- forget WORD PERSONS {id} IDS {reservation id}    these people's reservations, and these
local op, prefix = ARGV[1], ARGV[2]
local BUILDER_MS = 20000
local LATER = 86400000 -- an ended reservation is known for a day longer, for answers

local function on(id) return prefix .. 'on:' .. id end
local function of(id) return prefix .. 'of:' .. id end

local function lasts(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

local function list(from) -- a count, then so many
  local found, count = {}, tonumber(ARGV[from])
  for i = from + 1, from + count do found[#found + 1] = ARGV[i] end
  return found, from + count + 1
end

local function put(places, id, record, word, ttl, keep)
  for _, place in ipairs(places) do
    if keep then
      redis.call('HSET', on(place), id, record, '#v', word)
      lasts(on(place), ttl)
    elseif redis.call('HDEL', on(place), id) == 1 then
      redis.call('HSET', on(place), '#v', word)
    end
  end
  redis.call('SET', of(id), record, 'PX', ttl + LATER)
end

local function gone(id) return prefix .. 'gone:' .. id end

local function forget(id, record, word) -- whoever looked at one of its places before must look again
  local one = cmsgpack.unpack(record)
  local places = one.persons
  if type(one.account) == 'string' then places[#places + 1] = one.account end
  for _, place in ipairs(places) do
    if redis.call('HDEL', on(place), id) == 1 then redis.call('HSET', on(place), '#v', word) end
  end
  redis.call('DEL', of(id))
end

local function is_complete(run) return redis.call('GET', prefix .. 'ready') == run end

local function builds(token)
  if redis.call('GET', prefix .. 'builder') ~= token then return false end
  redis.call('PEXPIRE', prefix .. 'builder', BUILDER_MS)
  return true
end

if op == 'hold' then
  if not is_complete(ARGV[3]) then return 'lost' end
  local word, id, old, record, ttl = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
  local places, after = list(9)
  local ended, guards = list(after)
  for i = guards, #ARGV, 2 do
    if (redis.call('HGET', on(ARGV[i]), '#v') or '') ~= ARGV[i + 1] then return 'changed' end
  end
  if (redis.call('GET', of(id)) or '') ~= old then return 'changed' end
  for _, place in ipairs(places) do
    for _, ended_id in ipairs(ended) do redis.call('HDEL', on(place), ended_id) end
  end
  put(places, id, record, word, ttl, true)
  redis.call('DEL', gone(id))
  return 'held'
elseif op == 'settle' then
  if not is_complete(ARGV[3]) then return 'lost' end
  local word, id, old, new, ttl, keep = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9] == '1'
  if redis.call('GET', of(id)) ~= old then return 'changed' end
  put(list(10), id, new, word, ttl, keep)
  return 'done'
elseif op == 'begin' then
  if is_complete(ARGV[3]) then return 0 end
  local builder = redis.call('GET', prefix .. 'builder')
  if builder and builder ~= ARGV[4] and builder ~= ARGV[5] then return 2 end
  redis.call('SET', prefix .. 'builder', ARGV[4], 'PX', BUILDER_MS)
  return 1
elseif op == 'load' then
  if not builds(ARGV[3]) then return redis.error_reply('LOST another one builds, or it was flushed again') end
  if redis.call('EXISTS', gone(ARGV[5])) == 0 then
    put(list(9), ARGV[5], ARGV[6], ARGV[4], tonumber(ARGV[7]), ARGV[8] == '1')
  end
  return 'done'
elseif op == 'forget' then
  local word, persons, after = ARGV[3], list(4)
  local ids = list(after)
  for _, person in ipairs(persons) do
    local held = redis.call('HGETALL', on(person))
    for i = 1, #held, 2 do
      if held[i] ~= '#v' then
        forget(held[i], held[i + 1], word)
        ids[#ids + 1] = held[i]
      end
    end
    redis.call('HSET', on(person), '#v', word)
    lasts(on(person), LATER)
  end
  for _, id in ipairs(ids) do
    local record = redis.call('GET', of(id))
    if record then forget(id, record, word) end
    redis.call('SET', gone(id), '', 'PX', LATER)
  end
  return 'done'
elseif op == 'ready' then
  if not builds(ARGV[3]) then return redis.error_reply('LOST another one builds, or it was flushed again') end
  redis.call('SET', prefix .. 'ready', ARGV[4])
  redis.call('DEL', prefix .. 'builder')
  return 'done'
end
return redis.error_reply('unknown operation ' .. op)
