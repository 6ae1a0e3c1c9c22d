"""One folder a vendor: its wire protocol, its rules and its table of models."""
