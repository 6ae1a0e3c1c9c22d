# Made from _async by scripts/sync_half.py: change it there.
"""The synchronous half, which `scripts/sync_half.py` makes from the other."""
