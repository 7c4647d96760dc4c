-- What may be asked of the index, by ARGV[1]. See identity.lua.
--
-- resolve PLACE POLICY NODES CAUSE NODES CAUSE...
--                    first {place, 1 when nothing is missing, clock, id, id, ...}: the customers that changed since PLACE.
--                    Then a touch: its node ids, space between, strongest first, and what to note as the cause. Answers, a touch,
--                    {customer id, fact, value, fact, value, ...}; behind the customer id, when the touch's first id did not decide it or one was
--                    erased: which one did, when the last was erased (ms), whether the touch must not be taken. POLICY: "LIMIT", see
--                    `shared_after` in streams/policy.toml, or "LIMIT refuse": later touches of the erased are refused.
-- logged POLICY FACT VALUE...  Kafka has these. One that the index did not report was decided without it, alone or by
--                    an index that was lost since: it is applied, and what hangs on it told again (`tell_again`).
-- apply TOKEN POLICY FACT VALUE...  facts read from the log, VALUE "-" for a record without one. VALUE of told, cut, joined and erased facts is as
--                    in unlogged, of others the cause. TOKEN is that of a builder, else empty.
-- cut A B REQUEST CAUSE  {standing, fact, value, fact, value, clock, answer, answer}: the link of two ids is wrong, or their conflict is
--                    decided (see `cut`); REQUEST is the command's id, in CAUSE, too. What waits to be told of them follows, as overdue
--                    answers. Facts and values are empty when there is none.
-- join A B REQUEST CAUSE  {standing, fact, value, clock, answer}: the two are one person (see `join`); the answer as those of `cut`.
-- conflicts CUSTOMER {fact, value, ...}: what people were told of under this id.
-- act A B REQUEST CAUSE  {standing, fact, value}: somebody acts on the conflict of a pair (see `act`).
-- free TOKEN POLICY ID CAUSE ID CAUSE...  these are shared, as the log says, with causes: they hold nobody together any more.
-- erase ID MS REQUEST CAUSE  a person is erased, as was asked at MS. The answer to a REQUEST is kept until `erased REQUEST`, and for a day
--                    longer without what is to be done then: what is linked anew meanwhile must not be taken out of the log.
-- sweep TOKEN POLICY ID...  of these ids, which are marked as erased, nothing else may be in an index that is built.
-- overdue SECONDS N  {clock, answer, answer, ...}: up to N customers with facts that were found so long ago and are not known to be logged,
--                    as resolve answers.
-- begin TOKEN        before reading the log: {epoch, state, partition, offset, partition, offset, ...}. State: 1 complete, 0 to be built by the
--                    asker, who has so long for each step (BUILDER_MS), 2 another one builds it.
-- synced TOKEN EPOCH ...  the log was applied up to these (partition, offset, ...); refused when a flush came in between.
-- unsynced           the index is not to be used until it is built anew.
local BUILDER_MS = 20000
local building = prefix .. 'building'
local erasures = prefix .. 'erasures'
local DAY_MS = 86400000

local function done(request) return prefix .. 'erasure:' .. request end

local function apply_told(a, b, value)
  local record, at = ensure(a), headed(value).at
  advance_clock(at)
  record.winners[b] = math.max(record.winners[b] or 0, at)
  ensure(b).losers[a] = true
  save(a)
  save(b)
  if not is_told(record) then return end
  local root = find(a)
  for _, open in ipairs(redis.call('HKEYS', unlogged(root))) do
    if string.sub(open, 1, #a + 6) == 'told:' .. a .. '|' then drop(root, open) end
  end
end

local function is_stale(a, b, cause) -- a decision about an erased identifier that was under way, or that nobody could know better
  local till = erased_till(a, b)
  return till > 0 and (refuse or event_of(cause) <= till)
end

local function take_out(a, b) report(find(a), 'gone:' .. a .. '|' .. b, '\n') end

-- The log's records of a pair were taken back. What was decided anew meanwhile is to be there all the same: it may have been written before.
local function restate(a, b)
  local record, name = load(b), a .. '|' .. b
  if not record then return end
  if a == b then
    if record.used then report(find(a), name, '\n') end
    return
  end
  for _, state in ipairs(STATES) do
    if record.pairs[a] == state or record.also[SIGNS[state] .. a] then
      local decided = DECIDED[state]
      report(find(a), (decided and state .. ':' or '') .. name, decided and redis.call('HGET', decided, name) or '\n')
    end
  end
end

local function apply(kind, a, b, value)
  if value == '-' then return take_back(kind, a, b) end
  if kind == 'cut' then return apply_cut(a, b, value) end
  if kind == 'joined' then
    local till = erased_till(a, b)
    if live and till > 0 and (refuse or headed(value).at < (till + 1) * 1000) then return take_out(a, b) end
    return apply_joined(a, b, value)
  end
  if kind == 'erased' then return apply_erased(a, value) end
  if kind == 'told' then return apply_told(a, b, value) end
  if kind == 'gone' then return end
  if kind == 'shared' then
    if live and not ensure(a).shared then freed[a] = value end
    ensure(a).shared = true
    return save(a)
  end
  if live and is_stale(a, b, value) then return take_out(a, b) end
  if kind == 'acted' or kind == 'ended' then
    redis.call('HSET', kind == 'acted' and acts or ends, a .. '|' .. b, value)
  elseif kind == 'seen' then
    local ids = admitted({a, b}, value)
    if ids then decide(ids, value) end
    if not ids or #ids < 2 then take_out(a, b) end
  elseif a == b then
    local record = ensure(a)
    if live and not record.used then late[a] = late[a] or false end
    record.used = true
    save(a)
    local root = find(a)
    -- If it goes by another id here, somebody did not know, and its timeline must be told.
    if root ~= a and not is_told(record) then report(root, 'told:' .. a .. '|' .. root, '\n' .. value) end
  else
    ensure(a)
    save(a)
    if kind ~= 'blocked' and ensure(b).pairs[a] ~= 'cut' then merge_late(a, b, value) end
    note_pair(a, b, kind == 'blocked' and 'blocked' or 'linked')
    if kind == 'blocked' then note_block(a .. '|' .. b, value) end
    local blocked = kind == 'blocked' and find(a) == find(b) -- the two were joined before this was known
    if live and (blocked or ensure(b).also[SIGNS.blocked .. a]) then close(a, b, '') end -- or another worker decided that it links
    local one, other = find(a), find(b)
    if ensure(b).pairs[a] == 'linked' and one ~= other then merge(one, other, value) end
  end
end

local function applied() -- all of a call
  for id, cause in pairs(freed) do free(id, cause) end
  for id, linked in pairs(late) do tell_again(id, linked) end
  return saved(0)
end

local NAMED = 1000 -- a person with more ids is not named one by one

local function answer_of(root)
  local answer = redis.call('HGETALL', unlogged(root))
  local theirs
  for i = 1, #answer, 2 do
    if string.sub(answer[i], 1, 5) == 'told:' then -- with whose identifiers it goes, as of now
      theirs = theirs or component(root, NAMED) or {}
      table.sort(theirs)
      answer[i + 1] = ';;;' .. table.concat(theirs, ' ') .. string.match(answer[i + 1], '\n.*$')
    end
  end
  table.insert(answer, 1, root)
  return answer
end

local function add_others(answer, root, too) -- all but what only an answer of their own can say: whose a timeline is
  for other in pairs(others) do
    local open = other ~= root and other ~= too and redis.call('HGETALL', unlogged(other)) or {}
    for i = 1, #open, 2 do
      if string.sub(open[i], 1, 5) ~= 'told:' then
        answer[#answer + 1] = open[i]
        answer[#answer + 1] = open[i + 1]
      end
    end
  end
  others = {}
end

local function resolved(named, cause)
  local ids, erased = admitted(named, cause)
  if not ids then return {named[1] .. ' 1 ' .. digits(erased) .. ' 1'} end
  local strong, root = ids[1], find(ids[1])
  if not is_known(ids, root) then root, strong = decide(ids, cause) end
  local answer = answer_of(root)
  add_others(answer, root)
  if erased > 0 or strong ~= named[1] then
    local place = 1
    while named[place] ~= strong do place = place + 1 end
    answer[1] = root .. ' ' .. place .. ' ' .. digits(erased) .. ' 0'
  end
  return answer
end

local function configure(policy)
  limit, refuse = tonumber(string.match(policy, '^%d+')), string.find(policy, ' refuse', 1, true) ~= nil
end

local function unsynced(what) return redis.error_reply('UNSYNCED ' .. what) end

local operation = ARGV[1]
local ABSENT = 'the index is empty or was flushed'
if operation == 'resolve' then
  if not live then return unsynced(ABSENT) end
  local answers = {changes_since(ARGV[3])}
  configure(ARGV[4])
  for i = 5, #ARGV, 2 do answers[#answers + 1] = resolved(words(ARGV[i]), ARGV[i + 1]) end
  return saved(answers)
elseif operation == 'logged' then
  configure(ARGV[3])
  for i = 4, #ARGV, 2 do
    local kind, a, b = parse(ARGV[i])
    if kind == 'told' then
      apply(kind, a, b, ARGV[i + 1])
    elseif kind == 'gone' then
      drop(find(a), ARGV[i])
      restate(a, b)
    elseif kind == 'cut' and is_newer(redis.call('HGET', cuts, a .. '|' .. b), headed(ARGV[i + 1]).at) then
      apply(kind, a, b, ARGV[i + 1]) -- and what was decided since is still to be published
    elseif not drop(find(a), ARGV[i]) then
      -- A cut that the index decided and knows no more was taken out with an erasure while it was on its way.
      local lost = kind == 'cut' and erased_till(a, b) > 0 and redis.call('HEXISTS', cuts, a .. '|' .. b) == 0
      if lost then take_out(a, b) else apply(kind, a, b, ARGV[i + 1]) end
    end
  end
  return applied()
elseif operation == 'apply' then
  if ARGV[3] == '' then
    if not live then return unsynced(ABSENT) end
  elseif redis.call('GET', building) ~= ARGV[3] then
    return unsynced('the index was flushed while it was built, or another worker builds it')
  else
    redis.call('PEXPIRE', building, BUILDER_MS)
  end
  configure(ARGV[4])
  local ids = {}
  local function note(id)
    if records[id] == nil then
      records[id] = false
      ids[#ids + 1] = id
    end
  end
  for i = 5, #ARGV, 2 do
    local _, a, b = parse(ARGV[i])
    note(a)
    note(b)
  end
  preload(ids)
  for i = 5, #ARGV, 2 do
    local kind, a, b = parse(ARGV[i])
    apply(kind, a, b, ARGV[i + 1])
  end
  return applied()
elseif operation == 'sweep' then
  if redis.call('GET', building) ~= ARGV[3] then return unsynced('another worker builds it, or it was flushed') end
  configure(ARGV[4])
  for i = 5, #ARGV do sweep(ARGV[i]) end
  return saved(0)
elseif operation == 'free' then
  if not live and redis.call('GET', building) ~= ARGV[3] then return unsynced('another worker builds it, or it was flushed') end
  configure(ARGV[4])
  for i = 5, #ARGV, 2 do free(ARGV[i], ARGV[i + 1]) end
  return saved(0)
elseif operation == 'conflicts' then
  if not live then return unsynced(ABSENT) end
  local answer = {}
  for _, name in ipairs(redis.call('SMEMBERS', conflicts_of(ARGV[3]))) do
    answer[#answer + 1] = 'blocked:' .. name
    answer[#answer + 1] = redis.call('HGET', blocks, name) or '\n'
  end
  return answer
elseif operation == 'act' then
  if not live then return unsynced(ABSENT) end
  return saved(act(ARGV[3], ARGV[4], ARGV[5], ARGV[6]))
elseif operation == 'cut' then
  if not live then return unsynced(ABSENT) end
  local answer, one, other = cut(ARGV[3], ARGV[4], ARGV[5], ARGV[6]), find(ARGV[3]), find(ARGV[4])
  answer[#answer + 1] = digits(tick())
  answer[#answer + 1] = answer_of(one)
  add_others(answer[#answer], one, other)
  answer[#answer + 1] = other ~= one and answer_of(other) or {}
  return saved(answer)
elseif operation == 'join' then
  if not live then return unsynced(ABSENT) end
  local answer, root = join(ARGV[3], ARGV[4], ARGV[5], ARGV[6]), find(ARGV[3])
  answer[#answer + 1] = digits(tick())
  answer[#answer + 1] = answer_of(root)
  add_others(answer[#answer], root)
  return saved(answer)
elseif operation == 'erase' then
  if not live then return unsynced(ABSENT) end
  local before = redis.call('HGET', erasures, ARGV[5]) or redis.call('HGET', done(ARGV[5]), 'answer')
  if before then return before end
  if (load(ARGV[3]) or {}).shared then return redis.error_reply('SHARED') end
  local answer = erase(ARGV[3], tonumber(ARGV[4]), ARGV[6])
  redis.call('HSET', erasures, ARGV[5], answer)
  return saved(answer)
elseif operation == 'erased' then
  local answer = redis.call('HGET', erasures, ARGV[3])
  if answer then
    redis.call('HSET', done(ARGV[3]), 'answer', string.match(answer, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n'))
    redis.call('PEXPIRE', done(ARGV[3]), DAY_MS)
    redis.call('HDEL', erasures, ARGV[3])
  end
  return 0
elseif operation == 'overdue' then
  if not live then return unsynced(ABSENT) end
  local before = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[3])
  local answers = {digits(tick())}
  for _, root in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', before, 'LIMIT', 0, ARGV[4])) do
    answers[#answers + 1] = answer_of(root)
  end
  return answers
elseif operation == 'begin' then
  redis.call('SET', prefix .. 'epoch', ARGV[3], 'NX')
  local answer = live and redis.call('HGETALL', prefix .. 'offsets') or {}
  local state = '1'
  if not live then
    redis.call('SET', building, ARGV[3], 'NX', 'PX', BUILDER_MS)
    state = redis.call('GET', building) == ARGV[3] and '0' or '2'
  end
  table.insert(answer, 1, state)
  table.insert(answer, 1, redis.call('GET', prefix .. 'epoch'))
  return answer
elseif operation == 'synced' then
  local builder = redis.call('GET', building)
  if redis.call('GET', prefix .. 'epoch') ~= ARGV[4] or not (live or builder == ARGV[3]) then
    return unsynced('the index was flushed while it was built')
  end
  for i = 5, #ARGV, 2 do redis.call('HSET', prefix .. 'offsets', ARGV[i], ARGV[i + 1]) end
  redis.call('SET', prefix .. 'synced', LAYOUT)
  if builder == ARGV[3] then redis.call('DEL', building) end
  return 0
elseif operation == 'unsynced' then
  return redis.call('DEL', prefix .. 'synced')
end
return redis.error_reply('unknown operation ' .. tostring(operation))
