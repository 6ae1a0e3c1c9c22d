"""Pages for people: each is principal -> operation -> view model -> template."""

from modellix_server.console.app import build_console
