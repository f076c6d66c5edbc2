"""Options of the commands that ask a running receiver; what they do is in ``asking``, which only those commands load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="CALIDRIS_ENDPOINT",
        help="URL of the receiver's read API, such as https://host:4329; by default api.endpoint of the configuration.",
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        "--token",
        envvar="CALIDRIS_TOKEN_FILE",
        help="File with the bearer token. CALIDRIS_TOKEN holds the token itself: on a command line everybody could see it.",
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        envvar="CALIDRIS_CERTIFICATE",
        help="PEM file of the authority that signed the receiver's certificate, beside those that the system trusts.",
    ),
]
