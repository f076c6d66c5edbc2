"""The world of a model: its features, which all versions that serve see alike, watched once for all of them."""

from calidris.engine.world.worlds import Worlds

__all__ = ["Worlds"]
