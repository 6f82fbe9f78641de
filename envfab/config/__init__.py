"""What a fabfile and its settings say, and the names on a command line."""
