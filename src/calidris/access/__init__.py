"""Who may send, read and decide: bearer tokens and certificates from files, re-read when they change."""

from calidris.access.authorization import Access, Caller, TenantOf, joined
from calidris.access.certificates import Certificates, Pem
from calidris.access.tokens import ALL, Action, Token, hash_of, new_token, read_tokens
from calidris.access.watched_files import Watched, warn_of_readers

__all__ = [
    "ALL",
    "Access",
    "Action",
    "Caller",
    "Certificates",
    "Pem",
    "TenantOf",
    "Token",
    "Watched",
    "hash_of",
    "joined",
    "new_token",
    "read_tokens",
    "warn_of_readers",
]
