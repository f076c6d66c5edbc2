"""The wire's tests write the requests."""

from tests.wire.conftest import wire

__all__ = ["wire"]
