"""Conditions as people type them after `--where`, and the errors for texts that are not conditions."""

import contextlib
import re
import time

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from gfp_serve.errors import InvalidRequestError
from gfp_serve.filter_text import read_filter
from gfp_serve.filters import (
    LABEL,
    AnyOf,
    Condition,
    Filter,
    Range,
)

TEXTS = st.text() | st.text(alphabet='label3. =!<>,\\"\n', max_size=12)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("label=drink", AnyOf(LABEL, ("drink",))),
        ("label=drink,sit down", AnyOf(LABEL, ("drink", "sit down"))),
        (" label = drink , sit down ", AnyOf(LABEL, ("drink", "sit down"))),
        (r"label=stand\, then sit,walk", AnyOf(LABEL, ("stand, then sit", "walk"))),
        ('label="stand, then sit" ,walk', AnyOf(LABEL, ("stand, then sit", "walk"))),
        ("label=42,true", AnyOf(LABEL, ("42", "true"))),
        ('label=""', AnyOf(LABEL, ("",))),
        ("attributes.label=drink", AnyOf("label", ("drink",))),
        ("attributes.attributes.x=drink", AnyOf("attributes.x", ("drink",))),
        ("Größe der Person=groß", AnyOf("Größe der Person", ("groß",))),
        ("subject=3", AnyOf("subject", (3.0, "3"))),
        ("subject=-1.5e2,.5,007", AnyOf("subject", (-150.0, "-1.5e2", 0.5, ".5", 7.0, "007"))),
        ('subject="3"', AnyOf("subject", ("3",))),
        ('subject="true"," "', AnyOf("subject", ("true", " "))),
        ("subject=3rd,1_000,nan,inf,٣", AnyOf("subject", ("3rd", "1_000", "nan", "inf", "٣"))),
        ("valid=true,false,True", AnyOf("valid", (True, False, "True"))),
        (r"file=C:\clips\one", AnyOf("file", (r"C:\clips\one",))),
        (r'said="\"no\\yes\"",6" tall', AnyOf("said", (r'"no\yes"', '6" tall'))),
        ("formula=a=b!=c", AnyOf("formula", ("a=b!=c",))),
        (r"formula=\=b", AnyOf("formula", ("=b",))),
        (r"a\=b!\>=3", AnyOf("a=b!>", (3.0, "3"))),
        ("subject>=3", Range("subject", at_least=3.0)),
        ("age<10", Range("age", below=10.0)),
        ("age > -0.5", Range("age", above=-0.5)),
        ("age<=1e3", Range("age", at_most=1000.0)),
    ],
)
def test_a_condition_means_what_it_says(text: str, condition: Condition):
    assert repr(read_filter([text])) == repr(Filter(must=(condition,)))  # repr tells True from 1


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("camera!=2", AnyOf("camera", (2.0, "2"))),
        ("!camera=2", AnyOf("camera", (2.0, "2"))),
        ("! camera = 1,2", AnyOf("camera", (1.0, "1", 2.0, "2"))),
        ("!age>=10", Range("age", at_least=10.0)),
        ("label!=drink", AnyOf(LABEL, ("drink",))),
        (r"\!camera!=2", AnyOf("!camera", (2.0, "2"))),
    ],
)
def test_a_condition_with_an_exclamation_mark_must_not_hold(text, condition):
    assert read_filter([text]) == Filter(must_not=(condition,))


def test_all_conditions_count_in_their_order():
    assert read_filter(["label=drink", "!camera=2", "subject>=3", "subject<8"]) == Filter(
        must=(AnyOf(LABEL, ("drink",)), Range("subject", at_least=3), Range("subject", below=8)),
        must_not=(AnyOf("camera", (2.0, "2")),),
    )


def test_without_conditions_there_is_no_filter():
    assert read_filter([]) is None


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("", "has no operator", "KEY=VALUE"),
        ("drink", "has no operator", "KEY=VALUE"),
        (r"label\=drink", "has no operator", "KEY=VALUE"),
        ("=drink", "no key before '='", "'camera=2'"),
        ("attributes.>3", "no key before '>'", "'camera=2'"),
        ("!camera!=2", "contains 'not' twice", "'!camera=2' or 'camera!=2'"),
        ("label=", "lacks a value", "'label=drink'"),
        ("label=drink,", "lacks a value", "'label=drink'"),
        ("label=drink,,walk", "lacks a value", "'label=drink'"),
        ("camera==2", "'=2', which looks like an operator", "in quotes"),
        ("label=!drink", "'!drink', which looks like an operator", "in quotes"),
        ('label="drink', "a quoted text that does not end", "'subject=\"3\"'"),
        ('label="drink" or walk', "a quoted text that does not end", "'subject=\"3\"'"),
        ("label>=3", "the label, which is a text", "'label=drink'"),
        ("subject>=", "lacks a value", "'label=drink'"),
        ("subject>=three", "does not have exactly one number after '>='", "'subject>=3'"),
        ('subject<"3"', "does not have exactly one number after '<'", "'subject>=3'"),
        ("subject>true", "does not have exactly one number after '>'", "'subject>=3'"),
        ("subject<=nan", "does not have exactly one number after '<='", "'subject>=3'"),
        ("subject>3,4", "does not have exactly one number after '>'", "'subject>=3'"),
        ("subject=1e999", "'1e999', which is too large", "1.79e308"),
        ("label=\udcff", "cannot be encoded as UTF-8", "UTF-8"),
    ],
)
def test_text_that_is_not_a_condition_is_quoted_and_the_right_form_shown(text, wrong, right):
    with pytest.raises(InvalidRequestError) as caught:
        read_filter(["label=walk", text])
    assert re.match(
        rf"the condition {re.escape(repr(text))} .*{re.escape(wrong)}.*; .*{re.escape(right)}", str(caught.value)
    )


@given(TEXTS)
def test_every_text_is_a_condition_or_refused(text):
    with contextlib.suppress(InvalidRequestError):
        read = read_filter([text])
        assert len(read.must) + len(read.must_not) == 1


@given(TEXTS)
@example('a,"b\\')
def test_every_text_can_be_written_in_quotes(text):
    quotes = '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
    assert read_filter([f"who={quotes},{quotes}"]) == Filter(must=(AnyOf("who", (text, text)),))


@pytest.mark.parametrize(
    "text", [100_000 * " " + "x", 100_000 * "!", "a=" + 100_000 * "\\", 'a="' + 100_000 * r"\"", "a=b" + 30_000 * " ,"]
)
def test_the_time_for_a_long_text_grows_only_with_its_length(text):
    start = time.process_time()
    with contextlib.suppress(InvalidRequestError):
        read_filter([text])
    assert time.process_time() - start < 5  # time that grows with the square of the length would be minutes
