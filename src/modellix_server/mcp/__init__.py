"""The two MCP servers: documentation at `/mcp`, generation with an API key at `/mcp/generate`."""

from modellix_server.mcp.documentation import Documentation, Passage
from modellix_server.mcp.front import McpServers
