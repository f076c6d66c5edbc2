"""What becomes of the process that the SDK runs in: it forks, and it ends."""

__all__ = []
