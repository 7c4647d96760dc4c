-- The identity index: one key a node, holding the id that the node's person goes by (itself when it is the root).
-- ARGV[1] is the operation, ARGV[2] the key prefix, the rest its operands. Everything here is atomic.
--
-- resolve NODES...  each operand is one touch: its node ids, space between, strongest first. Links them to one person and answers, a
--                   touch, {customer id, edge, loser, edge, loser, ...}. The edges are those that the log may not hold yet: a worker
--                   reports them until it knows that Kafka has them, so that a crash in between loses none.
-- logged EDGES...   Kafka has these edges ("a|b").
-- apply EDGES...    edges read from the log; nothing to report.
local prefix = ARGV[2]

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
      if report then redis.call('HSET', unlogged(winner), winner .. '|' .. root, root) end
      local open = redis.call('HGETALL', unlogged(root))
      if #open > 0 then
        redis.call('HSET', unlogged(winner), unpack(open))
        redis.call('DEL', unlogged(root))
      end
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

if ARGV[1] == 'resolve' then
  if redis.call('EXISTS', prefix .. 'synced') == 0 then return redis.error_reply('UNSYNCED the index is empty or was flushed') end
  local answers = {}
  for i = 3, #ARGV do
    local nodes = split(ARGV[i])
    local root = redis.call('GET', prefix .. nodes[1])
    local settled = root and redis.call('GET', prefix .. root) == root
    for n = 2, #nodes do
      settled = settled and redis.call('GET', prefix .. nodes[n]) == root
    end
    local winner = settled and root or link(nodes, true)
    local answer = redis.call('HGETALL', unlogged(winner))
    table.insert(answer, 1, winner)
    answers[#answers + 1] = answer
  end
  return answers
elseif ARGV[1] == 'logged' then
  for i = 3, #ARGV do
    local root = find(split(ARGV[i])[1])
    if root then redis.call('HDEL', unlogged(root), ARGV[i]) end
  end
  return 0
elseif ARGV[1] == 'apply' then
  for i = 3, #ARGV do link(split(ARGV[i]), false) end
  return 0
end
return redis.error_reply('unknown operation ' .. tostring(ARGV[1]))
