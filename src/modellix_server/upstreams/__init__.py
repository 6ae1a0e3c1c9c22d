"""Vendor APIs that run models: one file each, found by scanning this folder. They only translate."""
