"""vLLM on the teacher's machine, over HTTP: the weights stay there, the tokenizer and all pictures are the reader's."""
