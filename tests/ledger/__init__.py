"""Tasks that leave a mark outside of every store a test breaks."""
