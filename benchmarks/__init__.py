"""Every speed that this project states, each one command away."""
