"""Folders to and from the Hugging Face hub, as hf://USER/NAME: the extra `ssljax[hub]`.

Who pushes is known from `hf auth login` or HF_TOKEN; HF_ENDPOINT may name another hub. Nothing is
fetched but JSON and safetensors, and only where a name begins with hf://.
"""

import os
from pathlib import Path
from typing import Any

from ssljax.export import safetensors

_START = "hf://"
_FILES = ["*.json", "*.safetensors", "*.txt", "*.md"]


def is_hub(place: str) -> bool:
    """Whether a place names a repository of the hub."""
    return place.startswith(_START)


def check_place(place: str) -> None:
    """Raises ValueError where a place is none, or the package is missing."""
    _name(place)
    _hub()


def push_folder(folder: Path, place: str, *, public: bool) -> str:
    """Uploads all files of `folder` as one commit, into a repository that is made where there is
    none, and returns its address. public: whether a new one can be read by everyone.

    Raises: ValueError for a place that is none, OSError where the hub refuses.
    """
    hub, name = _hub(), _name(place)
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(name, private=not public, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="From ssljax")
    except Exception as error:  # of several libraries: of the hub, of HTTP, of the token
        raise OSError(
            f"{place}: the hub does not take it ({error}). `hf auth login` says who you are"
        ) from error
    return f"{api.endpoint}/{name}"


def fetched(place: str) -> Path:
    """A folder on this machine with the JSON and safetensors files of hf://USER/NAME.

    Raises: as `push_folder`.
    """
    hub, name = _hub(), _name(place)
    try:
        options: dict[str, Any] = {"endpoint": os.environ.get("HF_ENDPOINT")}
        return Path(hub.snapshot_download(name, allow_patterns=_FILES, **options))
    except Exception as error:
        raise OSError(f"{place} cannot be read: {error}") from error


def pushed(folder: Path) -> Path | None:
    """The safetensors file that `ssljax push` has written into a folder, with its JSON beside it;
    None where there is none, as in folders of transformers."""
    files = sorted(folder.glob("*.safetensors"))
    return next((file for file in files if safetensors.read_config(file) is not None), None)


def _name(place: str) -> str:
    name = place.removeprefix(_START)
    if not is_hub(place) or name.count("/") != 1 or not all(name.split("/")):
        raise ValueError(f"{place!r} names no repository of the hub: write hf://USER/NAME")
    return name


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError("hf:// needs a package: pip install 'ssljax[hub]'") from error
    return huggingface_hub
