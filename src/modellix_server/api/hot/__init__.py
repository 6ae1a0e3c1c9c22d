"""Submissions and status reads, tuned by hand: everything else of the API is ordinary Starlette."""
