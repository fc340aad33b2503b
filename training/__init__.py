"""How the bundled model was made: corpus, tokenizer, training, evaluation, export."""
