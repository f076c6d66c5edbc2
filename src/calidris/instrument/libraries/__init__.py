"""One thin file for each library whose models are watched; importing the package imports none of them."""

__all__ = []
