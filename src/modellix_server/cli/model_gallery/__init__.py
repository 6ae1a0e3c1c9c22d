"""`model-gallery`: every model's examples, run in test mode, on one page or picture."""
