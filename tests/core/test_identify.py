"""Identifiers in normal form: one person's spellings meet, two persons' identifiers stay apart."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import identify
from streams.core.identify import RANKS
from streams.core.touch import Customer


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("dana@example.com", "dana@example.com"),
        (" <Dana.Reyes+Spring@EXAMPLE.com.> ", "dana.reyes+spring@example.com"),
        ("dana@bücher.example", "dana@xn--bcher-kva.example"),
        ("dana@BÜCHER.example", "dana@xn--bcher-kva.example"),
        ("jörg@example.com", "jörg@example.com"),
        ("dana@localhost", None),
        ("dana@", None),
        ("@example.com", None),
        ("dana", None),
        ("dana reyes@example.com", None),
        ("dana@b@example.com", None),
        ("dana@exa mple.com", None),
        ("dana@a..example", None),
        ("x" * 65 + "@example.com", None),
    ],
)
def test_mail_addresses(raw: str, normal: str | None) -> None:
    """Case, brackets, the root dot and IDNA make no difference; what has no mailbox or no real domain is none."""
    assert identify.email(raw) == normal


@pytest.mark.parametrize(
    ("raw", "region", "normal"),
    [
        ("+1 (415) 555-0100", "US", "+14155550100"),
        ("415.555.0100", "US", "+14155550100"),
        ("tel:+1-415-555-0100", "DE", "+14155550100"),
        ("030 901820", "DE", "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("06 6982", "IT", "+39066982"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+1 415 555 0100 ext. 5", "US", "+14155550100;ext=5"),
        ("+1 415 555 0100 x6", "US", "+14155550100;ext=6"),
        ("555-0100", "US", None),
        ("911", "US", None),
        ("12", "US", None),
        ("call me", "US", None),
        ("+99912345678901234", "US", None),
    ],
)
def test_phone_numbers(raw: str, region: str, normal: str | None) -> None:
    """E.164 with the region's country code; extensions tell people apart; a number without area code is nobody's."""
    assert identify.phone(raw, region) == normal


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("https://www.linkedin.com/in/dana-reyes", "https://www.linkedin.com/in/dana-reyes"),
        ("http://de.linkedin.com/in/Dana-Reyes/?trk=public", "https://www.linkedin.com/in/dana-reyes"),
        ("linkedin.com/in/dana-reyes/details/experience", "https://www.linkedin.com/in/dana-reyes"),
        ("https://www.linkedin.com/mwlite/in/dana-reyes#top", "https://www.linkedin.com/in/dana-reyes"),
        ("m.linkedin.com/in/dana-reyes", "https://www.linkedin.com/in/dana-reyes"),
        ("https://www.linkedin.com/in/j%C3%B6rg", "https://www.linkedin.com/in/jörg"),
        ("https://www.linkedin.com/pub/john-smith/12/345/67b", "https://www.linkedin.com/pub/john-smith/12/345/67b"),
        ("https://www.linkedin.com/pub/john-smith", None),
        ("https://www.linkedin.com/pub/dir/John/Smith", None),
        ("https://www.linkedin.com/company/example", None),
        ("https://www.linkedin.com/in/", None),
        ("https://example.com/in/dana-reyes", None),
        ("https://evil-linkedin.com/in/dana-reyes", None),
        ("dana-reyes", None),
    ],
)
def test_linkedin_profiles(raw: str, normal: str | None) -> None:
    """Country, scheme, query and case make no difference; companies, lists of namesakes and other sites are nobody."""
    assert identify.linkedin_url(raw) == normal


PLACEHOLDERS = (
    "",
    "  ",
    "null",
    " NULL ",
    "null\n",
    "None",
    "N/A",
    "#N/A",
    "undefined",
    "unknown",
    "anonymous",
    "NaN",
    "test",
)
PLACEHOLDERS += ("0", "0000", "000-0000", "-", "-1", "(not set)", "not provided")
PLACEHOLDERS += ("{gclid}", "{{contact.id}}", "${id}", "%%email%%", "[[phone]]")


@pytest.mark.parametrize("name", [name for name, _ in RANKS])
@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_placeholders_identify_nobody(name: str, placeholder: str) -> None:
    """What forms and trackers write when they know nothing is no identifier, in no field."""
    assert identify.identifiers(Customer(**{name: placeholder}), "US") == ()


@pytest.mark.parametrize("value", ["0012", "nullius@example.com", "n-a-1", "003{x}", "testing", "{a"])
def test_what_only_looks_like_a_placeholder_counts(value: str) -> None:
    """A true id may begin like a placeholder."""
    assert identify.identifiers(Customer(crm_id=value), "US") == (("1", value),)


anything = st.text(max_size=60) | st.from_regex(
    r"\A(https?://)?([a-z]{2}\.)?linkedin\.com/(in|pub)/.{0,20}\Z|\A[+0-9() x.-]{0,20}\Z|\A.{1,10}@.{1,20}\Z"
)


@given(*[st.none() | anything] * 5, st.sampled_from(("US", "DE", "IN")))
@example("\ud800", "\ud800@\ud800.com", "\ud800", "linkedin.com/in/%ff%fe", "\ud800", "US")
@example("1" * 600, "a@" + "b." * 400 + "com", "1" * 600, None, None, "US")
def test_arbitrary_text_never_raises(
    crm: str | None, email: str | None, phone: str | None, url: str | None, click: str | None, region: str
) -> None:
    """Any text in any field gives ids or none: strongest first, without the text in them, the same each time."""
    customer = Customer(crm_id=crm, email=email, phone=phone, linkedin_url=url, click_id=click)
    ids = identify.nodes(customer, "a key", region)
    assert list(ids) == sorted(ids)
    assert ids == identify.nodes(customer, "a key", region)
    assert identify.contact_key(customer, "a key", region) == (ids[0] if ids else None)
    assert all(len(node) == 27 and node[0] == "c" and node[2] == "-" for node in ids)


@given(anything, st.sampled_from(("US", "DE")))
def test_a_normal_form_is_its_own_normal_form(raw: str, region: str) -> None:
    """What was normalised once stays, so that a replay of normalised data meets the same customer."""
    for normalise in (identify.email, lambda text: identify.phone(text, region), identify.linkedin_url):
        once = normalise(raw)
        if once is not None:
            assert normalise(once) == once


def test_ids_depend_on_the_key_and_the_kind() -> None:
    """Another key renames every customer; the same text as mail address and as CRM id are two nodes."""
    dana = Customer(email="dana@example.com", crm_id="dana@example.com")
    one, other = identify.nodes(dana, "one", "US"), identify.nodes(dana, "other", "US")
    assert len({*one, *other}) == 4
    assert not any("dana" in node for node in one)


@pytest.mark.parametrize(
    ("customer", "ranks"),
    [
        (Customer(email="Info@Example.com", phone="+14155550100"), "3"),
        (Customer(email="sales+spring@example.com", crm_id="C-1", click_id="g1"), "15"),
        (Customer(email="informer@example.com", phone="+14155550100"), "23"),
        (Customer(email="info@example.com"), "2"),
        (Customer(email="info@example.com", phone="unknown"), "2"),
    ],
)
def test_role_addresses(customer: Customer, ranks: str) -> None:
    """An office's mail address stands for nobody beside another identifier; alone, the office is the customer."""
    assert "".join(digit for digit, _ in identify.identifiers(customer, "US")) == ranks


def test_a_company_is_hashed_once() -> None:
    """The id of a company that many touches name is remembered."""
    assert identify.account_node("acme.example", "k") is identify.account_node("acme.example", "k")


def test_role_addresses_are_policy() -> None:
    """Which addresses are an office's is for the caller to say."""
    customer = Customer(email="info@example.com", phone="+14155550100")
    assert len(identify.nodes(customer, "a key", "US", frozenset())) == 2
    assert len(identify.nodes(customer, "a key", "US", frozenset({"info"}))) == 1


def test_google_delivers_dots_and_tags_to_one_mailbox() -> None:
    """By policy addresses of one Google mailbox are one identifier; other providers' addresses keep dots and tags, and so do all by
    default."""
    for raw in ("D.Reyes+news@googlemail.com", "dreyes@gmail.com", "d.r.e.y.e.s@GMAIL.com"):
        assert identify.email(raw, True) == "dreyes@gmail.com"
    assert identify.email("+news@gmail.com", True) is None
    assert identify.email("d.reyes+news@example.com", True) == "d.reyes+news@example.com"
    assert identify.email("d.reyes+news@gmail.com") == "d.reyes+news@gmail.com"


def test_an_unconfirmed_address_links_nobody() -> None:
    """Beside another identifier an address that nobody has confirmed is not used; alone it is, and a confirmed one always."""
    typed = Customer(email="dana@example.com", phone="+14155550100", email_verified=False)
    assert identify.identifiers(typed, "US") == (("3", "+14155550100"),)
    assert identify.identifiers(replace(typed, phone=None), "US") == (("2", "dana@example.com"),)
    assert [digit for digit, _ in identify.identifiers(replace(typed, email_verified=True), "US")] == ["2", "3"]


def test_a_cookie_is_the_weakest_identifier() -> None:
    """A browser's cookie identifies a customer, after all others."""
    customer = Customer(click_id="gclid-1", cookie_id="ga.1.2")
    assert [digit for digit, _ in identify.identifiers(customer, "US")] == ["5", "6"]
