"""A guest book: the small Django site that `make demo` deploys."""
