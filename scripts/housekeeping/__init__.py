"""What `scripts/house.py` is made of: sources are read, measured, shown, and held to what was taken."""
