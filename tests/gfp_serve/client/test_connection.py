"""What clients need to connect: the file of a token."""

from pathlib import Path

import pytest

from gfp_serve.client import read_token
from gfp_serve.errors import SettingsError
from gfp_serve.service.access import Tokens

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    "content", [f"{TOKEN}\n", f"# mine\n\n{TOKEN}", f"read {TOKEN}", f"write {TOKEN} camera-1\n", f"  {TOKEN}\r\n"]
)
def test_a_token_is_read_alone_or_from_a_line_of_the_servers_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content)
    assert read_token(tmp_path / "token") == TOKEN


def test_a_file_with_one_line_serves_the_server_and_the_client(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"write {TOKEN} camera-1\n")
    assert Tokens(tmp_path / "tokens").name_of(read_token(tmp_path / "tokens")) == "camera-1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "must hold one token"),
        (b"# nothing\n", "must hold one token"),
        (b"some words", "must hold one token"),
        (b"read 0123456789abcdef camera 1", "must hold one token"),
        (b"0123456789abcde\xff", "must hold one token"),
        (b"read 0123456789abcdef\nwrite 0123456789abcdef", "has 2 lines, as a server's file of tokens may have"),
    ],
)
def test_a_file_without_one_token_is_refused_and_never_quoted(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match=said) as refused:
        read_token(tmp_path / "token")
    assert "0123456789" not in str(refused.value)
