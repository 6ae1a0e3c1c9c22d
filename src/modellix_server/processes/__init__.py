"""What runs: the supervisor, the API, the worker, the sandbox. These join the rooms."""
