"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

API = {}
