"""What is wrong with a path that leads nowhere."""


def no_such_route(path: str) -> str:
    """The detail of a 404, which names slips that are hard to see."""
    if "//" in path:
        return "no such route: the path has an empty part ('//')"
    if path.endswith("/") and path != "/":
        return "no such route: the path must not end with '/'"
    return "no such route"
