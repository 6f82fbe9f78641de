"""How the collector does with many applications, and with many usage reports."""
