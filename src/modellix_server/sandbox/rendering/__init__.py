"""What the emulators draw: pictures, clips and sound that look like a model's output."""
