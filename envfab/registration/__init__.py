"""Telling others: package lists for servers that speak Difio's protocol, and CycloneDX documents."""
