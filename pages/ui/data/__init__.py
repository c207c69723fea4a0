"""What is stored, and deleting it for good."""
