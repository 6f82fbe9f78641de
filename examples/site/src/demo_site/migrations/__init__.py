"""The guest book's tables, step by step."""
