"""What builds and checks the notebooks. Nothing that a reader runs imports this package."""
