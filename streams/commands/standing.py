"""What a CRM knows of customers and companies that no touch says, as a file: for `touchstream forecast --standing`.

A line is `{"customer": {"email": ...}, "standing": {...}}`, both as POST /v1/checks has them; without a customer it is for everybody of the
company that the standing's `account` names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, ValidationError

from streams.core.govern.records import NOTHING, Standing
from streams.core.identify import account_name
from streams.core.touch import Customer
from streams.gateway import models, problems


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customer: models.CustomerIn | None = None
    standing: models.StandingIn


class Told:
    """What a file says. `ids` gives the customers whom identifiers lead to. What is wrong in it is named in `broken`."""

    def __init__(self, lines: Iterable[bytes], ids: Callable[[Customer], Sequence[str]], broken: list[str]) -> None:
        self._people: dict[str, list[Standing]] = defaultdict(list)
        self._companies: dict[str, list[Standing]] = defaultdict(list)
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    self._take(_Line.model_validate_json(line), ids)
                except ValidationError as error:
                    wrong = problems.mistakes(
                        error.errors(include_url=False, include_context=False, include_input=False)
                    )
                    told = "; ".join(f"{one['pointer']}: {one['detail']}" for one in wrong)
                    broken.append(f"--standing, line {number}: {told}")
                except ValueError as error:
                    broken.append(f"--standing, line {number}: {error}")

    def _take(self, line: _Line, ids: Callable[[Customer], Sequence[str]]) -> None:
        standing = models.standing_of(line.standing)
        if line.customer is None:
            if not standing.account:
                raise ValueError("whose is it? give a `customer`, or the `account` in `standing`")
            self._companies[account_name(standing.account)].append(standing)
            return
        found = ids(Customer(**line.customer.__dict__))
        if not found:
            raise ValueError("the customer has no usable identifier")
        self._people[found[0]].append(standing)

    def of(self, customers: Iterable[str], company: str) -> Standing:
        """What is known of a person with these ids, of this company ("": of none): of themselves first."""
        some = [one for id_ in customers for one in self._people.get(id_, ())]
        known = NOTHING
        for one in (*some, *(self._companies.get(account_name(company), ()) if company else ())):
            known = replace(
                known,
                consents=(*known.consents, *one.consents),
                do_not_contact=(*known.do_not_contact, *one.do_not_contact),
                open_deals=(*known.open_deals, *one.open_deals),
                owner=known.owner or one.owner,
                time_zone=known.time_zone or one.time_zone,
                country=known.country or one.country,
                account=known.account or one.account,
                attributes=one.attributes | known.attributes,
            )
        return known
