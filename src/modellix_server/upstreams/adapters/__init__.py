"""One adapter a vendor, found by scanning this folder; a module whose name begins with `_` is what several share."""
