"""What several tasks share, or what is too large for the module of one."""
