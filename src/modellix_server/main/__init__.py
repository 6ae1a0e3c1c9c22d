"""The processes of the platform and its command line: the only room that joins the others."""
