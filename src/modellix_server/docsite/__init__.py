"""The documentation of this installation: pages for people, Markdown for programs, and a search for both."""

from modellix_server.docsite import for_programs
from modellix_server.docsite.app import build_docsite
from modellix_server.docsite.live import DocSite
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.search import Filter, Hit, language_of
from modellix_server.docsite.site import Library
