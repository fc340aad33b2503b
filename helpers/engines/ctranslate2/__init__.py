"""CTranslate2: int8 weights for a CPU. What it cannot do is refused before it starts.

Why it is here: on processors with AVX2 only it is the only int8. There it makes 4.99 times the steps of the article's call at
gpt-1b's shape, in 1.7 GB (an AMD EPYC; packed float32 makes 2.32 times). And it is the fastest for small models on any: at 110
million weights 4.33 times, at 37 million 4.82 (Zen 4; torch's int8 3.58 and 3.29). Measured by
`python -m benchmarks.cpu_generate --shape gpt-1b`; benchmarks/README.md has all shapes.
"""

from helpers.engines.ctranslate2.checks import EngineUnavailable, install_engine

__all__ = ["EngineUnavailable", "install_engine"]
