"""An error keeps its field apart from its message."""

import copy
import pickle

import pytest

from gfp_serve.errors import GfpError, InvalidRequestError, InvalidSkeletonError, OverloadedError, in_field
from gfp_serve.wire.status import STATUS_CODES, to_error, to_status
from tests.support.servers import Refusal


def test_the_text_of_an_error_has_the_field_once_before_the_message():
    assert str(InvalidRequestError("it is 0.", field="top_k")) == "top_k: it is 0."
    assert str(InvalidRequestError("it is 0.")) == "it is 0."


def test_the_representation_shows_the_field_too():
    assert repr(InvalidRequestError("it is 0.", field="top_k")) == "InvalidRequestError('it is 0.', field='top_k')"
    assert repr(InvalidRequestError("it is 0.")) == "InvalidRequestError('it is 0.')"


def test_the_innermost_field_stays():
    with pytest.raises(InvalidRequestError) as caught, in_field("config"), in_field("config.fps"):
        raise InvalidRequestError("it is 0.")
    assert caught.value.field == "config.fps"


@pytest.mark.parametrize(
    ("field", "index", "moved"),
    [
        ("sequences[3].positions", 3, "sequences[13].positions"),
        ("queries[0]", 0, "queries[10]"),
        ("filter.must[2]", None, "filter.must[2]"),
        ("top_k", None, "top_k"),
        ("", None, ""),
    ],
)
def test_an_offset_changes_only_the_index_of_the_requests_own_list(field, index, moved):
    error = InvalidSkeletonError("sequences[3] is not what this is about.", field=field)
    assert error.index == index
    error.count_from(10)
    assert (error.field, error.message) == (moved, "sequences[3] is not what this is about.")


def test_errors_from_other_processes_keep_their_fields():
    error = InvalidSkeletonError("nobody is seen.", field="sequences[1]")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), str(again), again.field) == (type(error), str(error), error.field)


@pytest.mark.parametrize("error_type", STATUS_CODES, ids=lambda error_type: error_type.__name__)
@pytest.mark.parametrize("field", ["", "items[2].sequence"])
def test_every_error_is_the_same_after_the_wire(error_type, field):
    sent: GfpError = (
        OverloadedError("full.", retry_after_s=1.5, field=field)
        if error_type is OverloadedError
        else error_type("no.", field=field)
    )
    status = to_status(sent)
    assert status.message == str(sent)  # what programs that know only gRPC see
    received = to_error(Refusal(status), "somewhere:1")
    assert (type(received), received.message, received.field) == (type(sent), sent.message, sent.field)
    if isinstance(sent, OverloadedError):
        assert isinstance(received, OverloadedError)
        assert received.retry_after_s == sent.retry_after_s
