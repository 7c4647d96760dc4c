-- The identity index: one key a node, holding the id that the node's person goes by (itself when it is the root).
-- ARGV[1] is the operation, ARGV[2] the key prefix, the rest its operands. Everything here is atomic.
--
-- resolve PLACE NODES...
--                    first {place, 1 when nothing is missing, id, id, ...}: the customers that went by another id since PLACE.
--                    Each further operand is one touch: its node ids, space between, strongest first. Links them to one person
--                    and answers, a touch, {customer id, edge, loser, edge, loser, ...}. The edges are those that the log may not
--                    hold yet: a worker reports them until it knows that Kafka has them, so that a crash in between loses none.
-- logged EDGES...    Kafka has these edges ("a|b"). One that the index did not report was decided without it: it is applied.
-- apply EDGES...     edges read from the log.
-- overdue SECONDS N  up to N customers with a merge that was found so long ago and is not known to be logged, as resolve answers.
-- begin TOKEN        before reading the log: {epoch, 1 when complete, partition, offset, partition, offset, ...}.
-- synced EPOCH ...   the log was applied up to these (partition, offset, ...); refused when a flush came in between.
--
-- A merge is reported whoever finds it, also when it comes from the log: a customer's timeline must hear of each smaller id. Hearing it
-- twice does no harm.
local prefix = ARGV[2]
local due = prefix .. 'due'
local changes = prefix .. 'changes' -- the newest ids that ceased to be customers; 'changed' counts all of them
local changed = prefix .. 'changed'
local KEPT = 20000

local function find(node)
  local parent = redis.call('GET', prefix .. node)
  if not parent then return nil end
  while parent ~= node do
    node = parent
    parent = redis.call('GET', prefix .. node) or node
  end
  return node
end

local function unlogged(root) return prefix .. 'unlogged:' .. root end

local function report_merge(winner, loser)
  redis.call('HSET', unlogged(winner), winner .. '|' .. loser, loser)
  redis.call('ZADD', due, 'NX', redis.call('TIME')[1], winner)
end

local function note_change(loser)
  redis.call('INCR', changed)
  if redis.call('RPUSH', changes, loser) > 2 * KEPT then redis.call('LTRIM', changes, -KEPT, -1) end
end

local function changes_since(place)
  local epoch, count = redis.call('GET', prefix .. 'epoch'), tonumber(redis.call('GET', changed) or 0)
  local seen_epoch, seen = string.match(place, '^(.+):(%d+)$')
  local answer = {epoch .. ':' .. string.format('%d', count), '1'}
  local missed = seen_epoch == epoch and count - tonumber(seen)
  if not missed or missed < 0 or missed > redis.call('LLEN', changes) then
    answer[2] = '0'
  elseif missed > 0 then
    for _, id in ipairs(redis.call('LRANGE', changes, -missed, -1)) do answer[#answer + 1] = id end
  end
  return answer
end

local function link(nodes, report)
  local roots, fresh, winner = {}, {}, nil
  for _, node in ipairs(nodes) do
    local root = find(node)
    if root then roots[root] = true else fresh[#fresh + 1] = node; root = node end
    if not winner or root < winner then winner = root end
  end
  for _, node in ipairs(fresh) do
    redis.call('SET', prefix .. node, winner)
    if report then redis.call('HSET', unlogged(winner), winner .. '|' .. node, '') end
  end
  for root in pairs(roots) do
    if root ~= winner then
      redis.call('SET', prefix .. root, winner)
      note_change(root)
      local open = redis.call('HGETALL', unlogged(root))
      for i = 1, #open, 2 do redis.call('HSET', unlogged(winner), open[i], open[i + 1]) end
      redis.call('DEL', unlogged(root))
      redis.call('ZREM', due, root)
      report_merge(winner, root)
    end
  end
  for _, node in ipairs(nodes) do redis.call('SET', prefix .. node, winner) end
  return winner
end

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '[^ |]+') do parts[#parts + 1] = part end
  return parts
end

local function apply(edge)
  local nodes = split(edge)
  local winner = link(nodes, false)
  -- "n|n" says that n was a customer. If it goes by another id here, somebody did not know, and n's timeline must be told.
  if nodes[1] == nodes[2] and winner ~= nodes[1] then report_merge(winner, nodes[1]) end
end

local function answer_of(root)
  local answer = redis.call('HGETALL', unlogged(root))
  table.insert(answer, 1, root)
  return answer
end

if ARGV[1] == 'resolve' then
  if redis.call('EXISTS', prefix .. 'synced') == 0 then return redis.error_reply('UNSYNCED the index is empty or was flushed') end
  local answers = {changes_since(ARGV[3])}
  for i = 4, #ARGV do
    local nodes = split(ARGV[i])
    local root = redis.call('GET', prefix .. nodes[1])
    local settled = root and redis.call('GET', prefix .. root) == root
    for n = 2, #nodes do
      settled = settled and redis.call('GET', prefix .. nodes[n]) == root
    end
    answers[#answers + 1] = answer_of(settled and root or link(nodes, true))
  end
  return answers
elseif ARGV[1] == 'logged' then
  for i = 3, #ARGV do
    local root = find(split(ARGV[i])[1])
    if root and redis.call('HDEL', unlogged(root), ARGV[i]) == 1 then
      if redis.call('EXISTS', unlogged(root)) == 0 then redis.call('ZREM', due, root) end
    else
      apply(ARGV[i])
    end
  end
  return 0
elseif ARGV[1] == 'apply' then
  for i = 3, #ARGV do apply(ARGV[i]) end
  return 0
elseif ARGV[1] == 'overdue' then
  local before = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[3])
  local answers = {}
  for _, root in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', before, 'LIMIT', 0, ARGV[4])) do
    answers[#answers + 1] = answer_of(root)
  end
  return answers
elseif ARGV[1] == 'begin' then
  redis.call('SET', prefix .. 'epoch', ARGV[3], 'NX')
  local answer = redis.call('HGETALL', prefix .. 'offsets')
  table.insert(answer, 1, tostring(redis.call('EXISTS', prefix .. 'synced')))
  table.insert(answer, 1, redis.call('GET', prefix .. 'epoch'))
  return answer
elseif ARGV[1] == 'synced' then
  if redis.call('GET', prefix .. 'epoch') ~= ARGV[3] then return redis.error_reply('UNSYNCED the index was flushed while it was built') end
  for i = 4, #ARGV, 2 do redis.call('HSET', prefix .. 'offsets', ARGV[i], ARGV[i + 1]) end
  redis.call('SET', prefix .. 'synced', 1)
  return 0
end
return redis.error_reply('unknown operation ' .. tostring(ARGV[1]))
