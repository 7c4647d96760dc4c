"""One ledger for both departments: what was spent, who touched whom, what was sold, and whose work it was.

============  =================================================================================================
types         Deal, Cost, LeadEvent; Journey: one customer's path to one deal; Cell: department x channel x campaign x rep
records       deals, costs and lead events as JSON for people
touch_lines   touches as JSON lines, read quickly into JourneyTouch
book          all records of one run: identities resolved, versions folded, touches by customer
journeys      contacts with calls joined; the touch points before a close
attribution   a deal's amount divided among its touches, to the cent, by seven models
markov        removal effects; the only module with numpy
figures       sums by period, cell, currency and model
quarrel       hand-offs as sales answered them beside what became of them; the funnel
trace         why the figures of two runs differ: which deals, touches and costs
============  =================================================================================================

Every figure is a sum of cells, and every deal's credits sum to its amount: so all tables agree to the cent.
"""
