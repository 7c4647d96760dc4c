"""Claims: what messages promise, read from fields and free text, and which promises contradict each other.

`extract` reads a message, `of_facts` a campaign in the policy, `contradictions` compares two lists of claims. All pure.
Reading is by patterns and kept parsers (price-parser, python-dateutil), in English with some German; of French and Spanish it knows the
words that are no plan's name (`common_words`). No model, so the same text gives the same claims in every replay.
"""

from streams.core.claims.compare import contradictions
from streams.core.claims.extract import extract
from streams.core.claims.facts import check_facts, of_facts

__all__ = ["check_facts", "contradictions", "extract", "of_facts"]
