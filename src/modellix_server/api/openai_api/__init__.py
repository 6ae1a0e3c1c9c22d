"""OpenAI's API for images and videos, for clients that already speak it: same operations, same money, other words."""
