"""One ledger for both departments: what was spent, who touched whom, what was sold, and whose work it was.

============  =================================================================================================
types         Deal, Cost, LeadEvent; Journey: one customer's path to one deal; Cell: department x channel x campaign x rep
records       deals, costs and lead events as JSON for people
touch_lines   touches as JSON lines, read quickly into JourneyTouch
book          all records of one run: identities resolved, versions folded, touches by customer
facts         the same from topics: facts that may come in any order and more than once
books         facts to the records that count
journeys      contacts with calls joined; the touch points before a close
attribution   a deal's amount divided among its touches, to the cent, by seven models
markov        removal effects
credit        the credits of one deal in cells: what a stream adds when it is won, and takes back when it changes
spend         costs spread over the days that they pay for; what single touches cost
figures       sums by month, cell, currency and measure: the whole ledger of a period
result        what a run says, as records: exported, shown, compared
quarrel       hand-offs as sales answered them beside what became of them; the funnel
totals        the figures of a period as a stream publishes them, each with its revision and what changed it
trace         why the figures of two runs differ: which deals, touches and costs
============  =================================================================================================

Every figure is a sum of cells, and every deal's credits sum to its amount: so all tables agree to the cent.
"""
