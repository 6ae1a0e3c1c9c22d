"""Rendering of the emulators' results: images, video and sound that look like a model's output."""
