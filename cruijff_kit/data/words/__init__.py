"""a public-domain list of English words, and which of them a base model may have seen"""

from cruijff_kit.data.words.english import load_words, parse_words, pretraining_half

__all__ = ["load_words", "parse_words", "pretraining_half"]
