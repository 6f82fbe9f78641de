"""The server: takes registrations and usage reports, and shows them."""
