"""Submissions and status reads, optimised by hand; all other routes are ordinary Starlette."""
