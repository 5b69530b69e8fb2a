"""Where a caller is, as far as a header can be believed."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.access.networks import (
    AllowedNetwork,
    Allowlist,
    Grant,
    client_address,
    parse_address,
    parse_network,
)
from router.errors import AddressNotAllowed

PROXIES = [parse_network("10.0.0.0/8"), parse_network("fd00::/8")]


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value.encode("latin-1")) for value in values]


@given(claimed=st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=80))
def test_nobody_but_a_trusted_proxy_is_believed(claimed):
    assert client_address("203.0.113.9", forwarded(claimed), PROXIES) == ip_address("203.0.113.9")


@given(claimed=st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=200))
def test_what_a_client_claims_never_beats_what_its_proxy_adds(claimed):
    headers = forwarded(f"{claimed}, 203.0.113.9, 10.0.0.2")
    assert client_address("10.0.0.1", headers, PROXIES) == ip_address("203.0.113.9")


@given(claimed=st.lists(st.ip_addresses(), max_size=60))
def test_addresses_before_the_first_that_is_not_trusted_do_not_matter(claimed):
    headers = forwarded(*(str(address) for address in claimed), "203.0.113.9")
    assert client_address("fd00::1", headers, PROXIES) == ip_address("203.0.113.9")


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "10.0.0.1"),
        (forwarded(""), "10.0.0.1"),
        (forwarded("10.1.1.1"), "10.1.1.1"),
        (forwarded("203.0.113.9:4711"), "203.0.113.9"),
        (forwarded("[2001:db8::1]:4711"), "2001:db8::1"),
        (forwarded("::ffff:203.0.113.9"), "203.0.113.9"),
        (forwarded("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        (forwarded("203.0.113.9, unknown"), None),
        (forwarded("203.0.113.9, "), None),
    ],
)
def test_a_trusted_proxy_says_where_a_request_came_from(headers, address):
    assert client_address("10.0.0.1", headers, PROXIES) == (None if address is None else ip_address(address))


def test_a_proxy_that_speaks_ipv4_over_ipv6_is_the_same_proxy():
    assert client_address("::ffff:10.0.0.1", forwarded("203.0.113.9"), PROXIES) == ip_address("203.0.113.9")


def test_without_trusted_proxies_the_header_says_nothing():
    assert client_address("127.0.0.1", forwarded("203.0.113.9"), []) == ip_address("127.0.0.1")


def test_a_caller_without_an_address_is_allowed_nothing():
    everywhere = [AllowedNetwork(parse_network(text), grant) for text in ("0.0.0.0/0", "::/0") for grant in Grant]
    assert client_address("", forwarded("10.0.0.1"), PROXIES) is None
    assert not Allowlist(everywhere).may_call_without_key(None)
    with pytest.raises(AddressNotAllowed):
        Allowlist(everywhere).require_admin_place(None)


@given(address=st.ip_addresses(v=4), network=st.ip_addresses(v=4), bits=st.integers(0, 32))
def test_a_network_allows_exactly_its_addresses(address, network, bits):
    within = parse_network(f"{ip_address(int(network) >> (32 - bits) << (32 - bits))}/{bits}")
    allowed = Allowlist([AllowedNetwork(within, Grant.CALL)]).may_call_without_key(parse_address(str(address)))
    assert allowed == (address in within)


def test_calling_and_administering_are_allowed_apart():
    allowlist = Allowlist(
        [
            AllowedNetwork(parse_network("192.168.1.0/24"), Grant.CALL),
            AllowedNetwork(parse_network("192.168.1.7"), Grant.ADMIN),
        ]
    )
    assert allowlist.may_call_without_key(parse_address("192.168.1.9"))
    allowlist.require_admin_place(parse_address("192.168.1.7"))
    with pytest.raises(AddressNotAllowed):
        allowlist.require_admin_place(parse_address("192.168.1.9"))


def test_without_entries_keys_are_asked_and_may_administer_from_anywhere():
    assert not Allowlist().may_call_without_key(parse_address("127.0.0.1"))
    Allowlist().require_admin_place(parse_address("203.0.113.9"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ten", "", "10.0.0.0/33", "::1/200"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        parse_network(text)


def test_a_network_of_ipv4_in_ipv6_is_one_of_ipv4():
    assert parse_network("::ffff:10.0.0.0/104") == parse_network("10.0.0.0/8")
