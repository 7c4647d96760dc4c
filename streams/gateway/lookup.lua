-- Who somebody is, without changing anything. ARGV[3...]: node ids of a person, space between, strongest first. Answers {complete, person,
-- person...}, a person as "customers;persons": the customers whose timelines count, which one touch with these ids would make one, and all ids
-- under which something may be kept of them. Behind streams/edge/identity.lua, of which nothing is saved here.
local MANY = 64

local answer = {live and '1' or ''}
for n = 3, #ARGV do
  local ids, customers, persons, seen = words(ARGV[n]), {}, {}, {}
  local function note(id)
    if not seen[id] and #persons < MANY then
      seen[id] = true
      persons[#persons + 1] = id
    end
  end
  local place = strongest(ids)
  local strong = ids[place]
  local root = find(strong)
  local roots = {[root] = true}
  customers[1] = root
  note(root)
  note(strong)
  for i = place + 1, #ids do
    local record, other = load(ids[i]), find(ids[i])
    local state = record and record.pairs[strong]
    local apart = record and record.shared or state == 'blocked' or state == 'cut'
    if not apart and (other == root or not guarded(root, other)) then
      note(ids[i])
      if not roots[other] then
        roots[other] = true
        customers[#customers + 1] = other
        note(other)
      end
    end
  end
  for _, customer in ipairs(customers) do
    local record = load(customer)
    for loser in pairs(record and record.losers or {}) do
      if find(loser) == customer then note(loser) end -- else it was split off since
    end
  end
  -- Something may be held under an identifier that had no touch before it was linked: no customer ever, and so nobody's loser.
  local n = 0
  while n < #persons and #persons < MANY do
    n = n + 1
    for _, weak in ipairs(redis.call('SMEMBERS', below(persons[n]))) do
      if not seen[weak] and roots[find(weak)] then note(weak) end
    end
  end
  answer[#answer + 1] = table.concat(customers, ' ') .. ';' .. table.concat(persons, ' ')
end
return answer
