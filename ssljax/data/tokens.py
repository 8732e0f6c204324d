"""Tokenizers: trained on the text of a run, kept in its folder, made and read by `tokenizers`.

    wordpiece     words cut into the longest known pieces, as BERT has them (Devlin et al. 2019)
    bpe           byte-level byte pairs, as GPT-2 and RoBERTa have them (Radford et al. 2019)
    characters    one token a character, in order of code points

Special tokens come first, so their numbers are the same in every vocabulary: [PAD] 0, [UNK] 1,
[CLS] 2, [SEP] 3, [MASK] 4.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssljax.files import atomically

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KINDS = ("wordpiece", "bpe", "characters")
FILE = "tokenizer.json"
_LETTERS = 1000  # different characters that wordpiece knows, at most


def library() -> Any:
    """The package `tokenizers`. Raises ValueError where it is not installed."""
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError("text needs the package tokenizers: pip install 'ssljax[text]'") from error
    return tokenizers


def train_tokenizer(
    kind: str,
    texts: Sequence[str],
    *,
    vocab: int,
    specials: Sequence[str] = SPECIALS,
    lowercase: bool = True,
) -> Any:
    """A `tokenizers.Tokenizer` of at most `vocab` tokens for these texts.

    Args:
      kind: one of KINDS. specials: special tokens, numbered from 0.
      lowercase: wordpiece drops upper case and accents, as uncased BERT does.
    Raises: ValueError for another kind, or where there is no room for the characters of the text
      and, without [UNK], no way to leave some out.
    """
    from_lib = library()
    models, pre, decoders = from_lib.models, from_lib.pre_tokenizers, from_lib.decoders
    trainers, normalizers = from_lib.trainers, from_lib.normalizers
    unknown = "[UNK]" if "[UNK]" in specials else None
    options = {"vocab_size": vocab, "special_tokens": list(specials), "show_progress": False}
    if kind == "characters":
        counts = Counter()
        for text in texts:
            counts.update(text)
        if len(counts) + len(specials) > vocab and unknown is None:
            raise ValueError(
                f"the text has {len(counts)} characters and the vocabulary room for "
                f"{vocab - len(specials)}: raise --reader.vocab to {len(counts) + len(specials)}"
            )
        # The rarest go where there is no room; ties go by code point.
        common = sorted(counts, key=lambda c: (-counts[c], c))[: vocab - len(specials)]
        names = {name: i for i, name in enumerate([*specials, *sorted(common)])}
        tokenizer = from_lib.Tokenizer(models.WordLevel(names, unk_token=unknown or ""))
        tokenizer.pre_tokenizer = pre.Split(from_lib.Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens(list(specials))
    elif kind == "bpe":
        tokenizer = from_lib.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre.ByteLevel.alphabet()
        if vocab < len(alphabet) + len(specials):
            raise ValueError(
                f"bpe needs room for 256 bytes and {len(specials)} special tokens: raise "
                f"--reader.vocab {vocab} to at least {len(alphabet) + len(specials)}"
            )
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **options)
        tokenizer.train_from_iterator(texts, trainer)
    elif kind == "wordpiece":
        if unknown is None:
            raise ValueError("wordpiece needs the special token [UNK]")
        tokenizer = from_lib.Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.normalizer = normalizers.BertNormalizer(
            lowercase=lowercase, strip_accents=lowercase
        )
        tokenizer.pre_tokenizer = pre.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        # The trainer numbers letters inside words by the order of a hash table, which differs from
        # process to process. As special tokens they come in our order; then they are none again.
        counts = Counter()
        for text in texts:
            counts.update("".join(tokenizer.normalizer.normalize_str(text).split()))
        letters = sorted(sorted(counts, key=lambda c: (-counts[c], c))[:_LETTERS])
        fixed = [*specials, *letters, *(f"##{c}" for c in letters)]
        options |= {"special_tokens": fixed, "limit_alphabet": len(letters)}
        tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(**options))
        names = tokenizer.get_vocab(with_added_tokens=False)
        plain = from_lib.Tokenizer(models.WordPiece(names, unk_token=unknown))
        plain.normalizer, plain.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
        plain.decoder = tokenizer.decoder
        plain.add_special_tokens(list(specials))
        tokenizer = plain
    else:
        raise ValueError(f"no tokenizer {kind!r}: choose {', '.join(KINDS)}, or a tokenizer.json")
    return tokenizer


def load_tokenizer(file: Path) -> Any:
    """The tokenizer of a file that `save_tokenizer` or another library wrote, without the padding
    and the cuts that such a file may ask for: rows are padded and cut by the reader.

    Raises: FileNotFoundError, or ValueError where the file holds no tokenizer.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no tokenizer {file}")
    try:
        found = library().Tokenizer.from_file(str(file))
        found.no_padding()
        found.no_truncation()
        return found
    except Exception as error:  # the library raises nothing more precise
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"{file} holds no tokenizer: {error}") from error


def save_tokenizer(tokenizer: Any, file: Path) -> None:
    """Writes the whole file or nothing."""
    atomically(file, lambda fresh: fresh.write_text(tokenizer.to_str(pretty=True)))


def token_bytes(tokenizer: Any) -> list[int] | None:
    """Bytes of text that each token stands for; special tokens stand for none.

    None for tokenizers that drop some of the text, such as the spaces in wordpiece.
    """
    names = tokenizer.get_vocab(with_added_tokens=True)
    special = {i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
    lengths = [0] * (1 + max(names.values()))
    whole = isinstance(tokenizer.decoder, library().decoders.ByteLevel)
    if not whole and not isinstance(tokenizer.decoder, library().decoders.Fuse):
        return None
    for name, i in names.items():
        if i not in special:  # byte-level pieces spell each byte as one character
            lengths[i] = len(name) if whole else len(name.encode())
    return lengths
