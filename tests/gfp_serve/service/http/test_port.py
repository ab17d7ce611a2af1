"""Listening at the addresses of a name: at those that the machine has."""

import errno
import os
import socket

import pytest

from gfp_serve.service.http.port import HttpPort

# Addresses for examples (RFC 5737, RFC 3849), which no machine has.
NOWHERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
NOWHERE_6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0))
HERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))


def http_port() -> HttpPort:
    return HttpPort(lambda: None, tls=None, max_connections=1)


@pytest.mark.parametrize("found", [[NOWHERE_6, HERE], [HERE, NOWHERE], [NOWHERE, NOWHERE_6, HERE]])
async def test_an_address_that_the_machine_lacks_is_left_out(monkeypatch, found):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_how: found)
    port = http_port()
    number = port.open("some-name", 0)
    assert [each.getsockname() for each in port._listening] == [("127.0.0.1", number)]
    await port.close()


async def test_a_name_without_any_address_of_the_machine_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_how: [NOWHERE])
    with pytest.raises(OSError, match=os.strerror(errno.EADDRNOTAVAIL)):
        http_port().open("some-name", 0)


async def test_an_address_that_is_taken_is_refused_even_if_another_is_free(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_how: [NOWHERE, HERE])
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            http_port().open("some-name", number)
