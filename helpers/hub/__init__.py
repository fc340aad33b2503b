"""From the name of a model to a folder with its files; each refusal is a sentence (`messages`).

Downloads, their retries and time-outs are those of huggingface_hub: HF_HUB_ETAG_TIMEOUT for the one request that
asks what a model has (`download.ask_hub`), HF_HUB_DOWNLOAD_TIMEOUT for a file.
"""

from helpers.hub.cache import cache_folder, clean_name, discard_damaged, is_cached, weights_file
from helpers.hub.download import hub_problem, local_folder, why_hub_fails
from helpers.hub.errors import Interrupted, ModelUnavailable

__all__ = [
    "Interrupted",
    "ModelUnavailable",
    "cache_folder",
    "clean_name",
    "discard_damaged",
    "hub_problem",
    "is_cached",
    "local_folder",
    "weights_file",
    "why_hub_fails",
]
