"""The report of a rollout: the document that collectors are told it by, while it is under way and at its end."""
