"""What tasks print: the terminal, progress, plans and results."""
