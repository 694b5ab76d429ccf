"""Addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.wire.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("edge.example.org:50051", Address(host="edge.example.org", port=50051)),
        ("10.0.0.7:1", Address(host="10.0.0.7", port=1)),
        ("[::1]:65535", Address(host="::1", port=65535)),
        ("unix:/run/offramp.sock", Address(path="/run/offramp.sock")),
        ("unix:near.sock", Address(path="near.sock")),
    ],
)
def test_an_address_reads_back_from_its_own_text(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "edge", ":50051", "edge:", "edge:http", "::1:80", "[::1]", "edge:70000", "unix:", "http://edge:80", "a b:1"],
)
def test_what_is_no_address_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(InputError, match=r"write HOST:PORT|out of range|Unix socket"):
        parse_address(text)


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(InputError, match="107 bytes"):
        parse_address("unix:/" + "x" * 107)


def test_port_0_is_one_only_to_listen_at() -> None:
    assert parse_address("127.0.0.1:0", listen=True).port == 0
    with pytest.raises(InputError, match="from 1 to"):
        parse_address("127.0.0.1:0")


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:a", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("edge:1", False),
        ("192.168.0.1:1", False),
    ],
)
def test_local_is_what_only_this_machine_reaches(text: str, local: bool) -> None:
    assert parse_address(text).is_local is local


@given(st.text(max_size=30))
def test_no_text_makes_the_parser_fail_otherwise_than_by_its_own_error(text: str) -> None:
    try:
        address = parse_address(text, listen=True)
    except InputError:
        return
    assert parse_address(str(address), listen=True) == address
