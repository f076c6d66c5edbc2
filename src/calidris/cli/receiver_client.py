"""How commands reach a running receiver: where it is, how it is trusted, and the token that they show."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from calidris.access import warn_of_readers
from calidris.config import CalidrisConfig, load
from calidris.errors import CalidrisError, ConfigError

TOKEN = "CALIDRIS_TOKEN"
_TIMEOUT_S = 10.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}
_LOCAL = re.compile(r"http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True)
class Receiver:
    """The receiver that a command asks.

    Attributes:
        config: its configuration; not read where ``endpoint`` is given.
        endpoint: URL of its read API, or None.
        token_file: file with the token, or None: then ``CALIDRIS_TOKEN`` of the environment.
        certificate: authority of its certificate, or None.
    """

    config: Path
    endpoint: str | None = None
    token_file: Path | None = None
    certificate: Path | None = None
    _trusted: list[Path] = field(default_factory=list, repr=False)

    def get(self, path: str) -> httpx.Response:
        """What it answers to a question.

        Raises:
            CalidrisError: nobody answers, or with an error; the message names the cure.
        """
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, str]) -> httpx.Response:
        """What it answers to a decision; raises as ``get``."""
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        url, named = self._url()
        token = self._token()
        if token and url.startswith("http://") and not _LOCAL.match(url):
            sys.stderr.write(f"calidris: the token goes to {url} in clear; use https://\n")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(verify=self._context(url), trust_env=False, timeout=_TIMEOUT_S) as client:
                answer = client.request(method, url + path, headers=headers, **body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CalidrisError(_unreached(url, named, error)) from None
        if answer.status_code >= 400:
            raise CalidrisError(_refused(url + path, answer, token))
        return answer

    def _url(self) -> tuple[str, str]:
        """Scheme, host and port, and the name of the setting that they are from."""
        if self.endpoint:
            url = self.endpoint if "://" in self.endpoint else f"http://{self.endpoint}"
            return url.rstrip("/"), "--endpoint"
        config = load(self.config)
        self._trusted[:] = [config.api.tls.cert] if config.api.tls else []
        return _own_url(config), "api.endpoint"

    def _token(self) -> str:
        if self.token_file is None:
            token, source = os.environ.get(TOKEN, "").strip(), TOKEN
        else:
            source = "--token-file"
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                raise ConfigError(f"{source}: there is no such file; it takes a path, {TOKEN} the token") from None
            except (OSError, UnicodeDecodeError):
                raise ConfigError(f"{source}: the file cannot be read as text") from None
            warn_of_readers(source, self.token_file)
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise ConfigError(f"{source}: a token is one word; `calidris token` makes one")
        return token

    def _context(self, url: str) -> ssl.SSLContext | bool:
        """Trusts the system's authorities, the one that was named, and the certificate that the configuration names."""
        if not url.startswith("https://"):
            return True
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # our own certificate is as good as its authority
        for path in self._trusted:
            with contextlib.suppress(OSError):
                context.load_verify_locations(path)
        if self.certificate is not None:
            try:
                context.load_verify_locations(self.certificate)
            except OSError as error:
                said = getattr(error, "reason", None) or error.strerror
                raise ConfigError(f"--certificate: {self.certificate} holds no certificate in PEM ({said})") from None
        return context


def _own_url(config: CalidrisConfig) -> str:
    host, _, port = config.api.endpoint.rpartition(":")
    return f"{'https' if config.api.tls else 'http'}://{_ANYWHERE.get(host, host)}:{port}"


def _unreached(url: str, named: str, error: Exception) -> str:
    host = url.partition("://")[2]
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {host} ({named}) cannot be trusted: {error}; name the authority that signed it with "
            "--certificate, and the receiver with --endpoint as its certificate does"
        )
    if isinstance(error, httpx.RemoteProtocolError) and url.startswith("http://"):
        return f"{host} ({named}) does not speak http: {error}; try --endpoint https://{host}"
    return f"no receiver answers on {host} ({named}): {error}; is `calidris serve` running?"


def _refused(url: str, answer: httpx.Response, token: str) -> str:
    try:
        said = str(answer.json()["error"])
    except (ValueError, LookupError, TypeError):
        said = answer.text[:500]
    if answer.status_code == 401 and not token:
        return (
            f"{url} asks for a token: put it into {TOKEN}, or into a file for --token-file; `calidris token` makes one"
        )
    if answer.status_code == 401:
        return f"{url} does not take the token of {TOKEN} or --token-file: {said}"
    if answer.status_code == 403:
        return f"{url}: {said}"
    return f"{url.partition('://')[2]} answered {answer.status_code}: {said}"
