"""The words of errors: one line, of our own at any length, of a library's at most so much."""

from retseg.errors import InputError, one_line, typed_line


def test_what_a_library_repeats_of_a_file_is_cut_and_our_own_words_are_not():
    words = "a\n  b\t" * 200
    assert one_line(ValueError(words)) == ("a b " * 200)[:400]
    assert one_line(InputError("a b" * 300)) == "a b" * 300
    assert typed_line(KeyError("no\nsuch")) == "KeyError: 'no\\nsuch'"
    assert len(typed_line(OSError("x" * 900))) == len("OSError: ") + 200
