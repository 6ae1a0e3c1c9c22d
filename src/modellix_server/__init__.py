"""Modellix: one HTTP API to many image and video generation models."""
