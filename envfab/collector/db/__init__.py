"""The collector's tables, and every question that is asked of them."""
