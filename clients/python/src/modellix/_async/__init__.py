"""The asynchronous half: the source, from which `scripts/sync_half.py` makes the other."""
