"""Imitations of the vendors' wire protocols for test mode: one ASGI app per vendor, run by the sandbox process.

Shared parts: `studio` (render processes), `paint` and `clips` (what they make), `spool` (result files), `store`
(task state), `bill` (what was received and charged), `directives` (misbehaviour on request), `media` (input
files) and `wire` (ASGI). A vendor's rules are its own table, written from its documents and not derived from
our catalogue, so that the two check each other.
"""
