"""Who somebody is: tokens in a file, read again when it changes."""

from __future__ import annotations

import hmac
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.access.tokens import Tokens

from calidris.access import ALL, Access, Watched, hash_of, read_tokens
from calidris.errors import ConfigError, Unauthenticated


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


def one_token() -> Access:
    """Access by one token that nobody has."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = Tokens(Path(folder) / "tokens")
        tokens.add("checkout")
        tokens.write()
        return tokens.open()


GUARDED = one_token()
ODD = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "{token}",
    "Basic {token}",
    "Bearer {token} x",
    "Bearer {token},Bearer {token}",
    "Bearer {token}\n",
    "Bearer {token}\x00",
    "Bearer\t{token}",
    " Bearer {token}",
    "Bearer {token}\u00e9",
    "Bearer {token}\ud800",
    "Bearer " + "a" * 100_000,
    "Bearer {token}===",
]


@pytest.mark.parametrize("form", ODD, ids=range(len(ODD)))
def test_odd_headers_are_no_tokens(tokens: Tokens, form: str | None) -> None:
    token = tokens.add("checkout").removeprefix("Bearer ")
    tokens.write()
    header = None if form is None else form.format(token=token)
    with pytest.raises(Unauthenticated) as caught:
        tokens.open().tenant_of(header)
    assert token not in str(caught.value)


@given(st.one_of(st.text(), st.from_regex(r"(?i)bearer[\s\S]*"), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_whatever_the_header_it_is_refused_and_nothing_breaks(header: str) -> None:
    with pytest.raises(Unauthenticated):
        GUARDED.tenant_of(header)


@pytest.mark.parametrize("form", ["Bearer {token}", "bearer {token}", "BEARER {token}", "Bearer   {token}"])
def test_the_scheme_may_be_written_in_any_case(tokens: Tokens, form: str) -> None:
    token = tokens.add("checkout").removeprefix("Bearer ")
    tokens.write()
    assert tokens.open().tenant_of(form.format(token=token)) == "acme"


def test_a_file_changed_in_place_is_read_again(tokens: Tokens) -> None:
    """Same size, same inode, and a time that somebody set back."""
    first = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    assert access.tenant_of(first) == "acme"
    before = tokens.path.stat()
    tokens.lines = []
    second = tokens.add("checkout")
    with tokens.path.open("r+") as file:
        file.write("# tokens\n" + tokens.lines[0])
    os.utime(tokens.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    tokens.later()
    assert access.tenant_of(second) == "acme"
    with pytest.raises(Unauthenticated):
        access.tenant_of(first)


def test_a_file_written_just_before_it_was_read_is_read_once_more(tmp_path: Path) -> None:
    """A write within the same tick of the file system's clock leaves no trace to be seen by."""
    path, now_s, said = tmp_path / "file", [0.0], ["half"]
    path.touch(mode=0o600)
    watched = Watched("key", (path,), lambda: said[0], lambda: now_s[0])
    said[0] = "whole"
    assert watched.get() == "half"
    now_s[0] += 1.1
    assert watched.get() == "whole" and watched.changes == 1


BROKEN = {
    "no key": "name=a tenant=b may=send secret-that-somebody-pasted",
    "a key that nobody knows": "name=a tenant=b may=send password=hunter2",
    "the token itself": "name=a tenant=b may=send sha256=cal_secret-that-somebody-pasted",
    "no such thing to do": "name=a tenant=b may=sned sha256=" + "0" * 64,
    "nothing to do": "name=a tenant=b may= sha256=" + "0" * 64,
    "a name with a slash": "name=a tenant=b/c may=send sha256=" + "0" * 64,
    "a key twice": "name=a name=b tenant=b may=send sha256=" + "0" * 64,
    "a key left out": "name=a may=send sha256=" + "0" * 64,
    "everybody's sender": "name=a tenant=* may=send sha256=" + "0" * 64,
    "no date": "name=a tenant=b may=send expires=soon sha256=" + "0" * 64,
    "one token twice": "\n".join(["name=a tenant=b may=send sha256=" + "0" * 64] * 2),
    "empty": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_keeps_the_old_one_and_is_told_without_its_text(
    tokens: Tokens, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.write(text and "# tokens\n\n" + text)
    tokens.later()
    with caplog.at_level(logging.ERROR):
        assert access.tenant_of(header) == "acme"
        tokens.later()
        assert access.tenant_of(header) == "acme"
    assert access.failures == 1, "counted once for each change"
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"receiver.tokens: {tokens.path}") and "stays in force" in told
    assert "pasted" not in told and "hunter2" not in told and "0" * 64 not in told
    with pytest.raises(ConfigError, match=r"^receiver\.tokens: "):
        tokens.open()
    tokens.write()
    tokens.later()
    assert access.tenant_of(header) == "acme" and access.failures == 1


def test_a_file_that_is_gone_keeps_the_old_one(tokens: Tokens) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.path.unlink()
    tokens.later()
    assert access.tenant_of(header) == "acme" and access.failures == 1
    with pytest.raises(ConfigError, match="`calidris token` makes its first line"):
        tokens.open()


def test_a_file_of_comments_shuts_everybody_out(tokens: Tokens) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.write("# nobody until the leak is understood\n")
    tokens.later()
    with pytest.raises(Unauthenticated):
        access.tenant_of(header)
    assert access.failures == 0 and read_tokens(tokens.path) == ()


@pytest.mark.parametrize("text", ["2026-01-02", "2026-01-02T00:00:00Z", "2026-01-02T01:00:00+01:00"])
def test_a_token_ends_on_its_day(tokens: Tokens, text: str) -> None:
    header = tokens.add("checkout")
    tokens.lines[0] += f" expires={text}"
    tokens.write()
    access = tokens.open()
    tokens.now_s = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC).timestamp()
    assert access.tenant_of(header) == "acme"
    tokens.later()
    with pytest.raises(Unauthenticated, match="'checkout' has expired"):
        access.tenant_of(header)


def test_a_line_says_what_was_asked_for(tokens: Tokens) -> None:
    tokens.add("sre@example", ALL, "decide,read", expires=datetime(2027, 1, 1, tzinfo=UTC))
    tokens.write()
    (read,) = read_tokens(tokens.path)
    assert read.line == tokens.lines[0]
    assert read.line.startswith("name=sre@example tenant=* may=read,decide sha256=")
    assert read.line.endswith("expires=2027-01-01T00:00:00Z")


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_told_with_the_cure(
    tokens: Tokens, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.add("checkout")
    tokens.write()
    tokens.path.chmod(mode)
    tokens.open()
    assert ([r.getMessage().partition(": chmod ")[2] for r in caplog.records]) == [f"600 {tokens.path}"] * warned


def test_what_is_looked_up_cannot_be_known_outside(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table keyed by the hash would tell by its time how much of a guess is right; ours is keyed by a secret of the process."""
    asked: list[bytes] = []
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda key, *rest: (asked.append(key), digest(key, *rest))[1])
    header = tokens.add("checkout")
    tokens.write()
    for access in (tokens.open(), tokens.open()):
        begun = len(asked)
        access.tenant_of(header)
        assert len(asked) == begun + 1, "the question is blinded like the table"
    assert len(set(asked)) == 2 and min(map(len, asked)) == 32


def test_refusals_are_logged_once_a_minute_and_counted_always(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    secret = "cal_" + "s" * 40
    for _ in range(500):
        with pytest.raises(Unauthenticated):
            access.tenant_of(f"Bearer {secret}")
    tokens.later(61)
    with pytest.raises(Unauthenticated):
        access.tenant_of(None)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "(499 more since" in told[1]
    assert access.refused == {"send_unauthenticated": 501}
    assert secret not in caplog.text and hash_of(secret) not in caplog.text


def test_without_a_file_everybody_is_the_default_tenant() -> None:
    access = Access()
    assert access.tenant_of(None) == access.tenant_of("Bearer whatever") == "default"
    caller = access.authorize(None, "decide")
    assert caller.sees("acme") and caller.whole and caller.name == "" and not access.required
