"""What the collector answers: pages, JSON, and the two protocols' endpoints."""
