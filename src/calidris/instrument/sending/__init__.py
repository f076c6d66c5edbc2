"""From the row buffer to the receiver: one background thread packs, sends, repeats and counts what never arrives."""

__all__ = []
