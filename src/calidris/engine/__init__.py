"""The single writer: applies journal records in order, feeds the detectors, and freezes what readers see."""
