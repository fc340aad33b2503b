"""PyTorch: the loop that writes token by token inside `model.generate`, and the formats its weights are held in."""
