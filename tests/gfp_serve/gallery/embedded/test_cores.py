"""Searches that run at once share the cores, and a thread that searched is left as it was."""

import threading

import faiss
import numpy as np
import pytest

from gfp_serve.gallery.embedded.cores import CORES, Cores
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.view import View
from gfp_serve.items import Item


@pytest.fixture
def four_cores():
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(4)
    yield Cores()
    faiss.omp_set_num_threads(usual)


def in_thread(function):
    """What a function gives in a new thread, which may use four cores."""
    given = []

    def work():
        faiss.omp_set_num_threads(4)
        given.append(function())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return given[0]


def test_a_search_has_all_cores_alone_and_its_share_beside_others(four_cores):
    def searching():
        with four_cores.shared():
            return faiss.omp_get_max_threads()

    assert searching() == 4
    with four_cores.shared():
        assert in_thread(searching) == 2
        with four_cores.shared(), four_cores.shared(), four_cores.shared(), four_cores.shared():
            assert in_thread(searching) == 1, "more searches than cores have one each"
    assert searching() == 4


def test_a_thread_is_left_as_it_was_also_by_a_search_that_failed(four_cores):
    with pytest.raises(RuntimeError, match="broken"), four_cores.shared(), four_cores.shared():
        raise RuntimeError("broken")
    assert faiss.omp_get_max_threads() == 4
    with four_cores.shared():
        assert faiss.omp_get_max_threads() == 4, "nothing runs any more"


def test_searches_of_galleries_share_the_cores_of_the_process(tmp_path, monkeypatch):
    seen = []
    search = View.search

    def watched(*args, **kwargs):
        seen.append(faiss.omp_get_max_threads())
        return search(*args, **kwargs)

    monkeypatch.setattr(View, "search", watched)
    with FaissGallery.create(tmp_path / "gallery", encoder_digest="5e" * 32, embedding_size=2) as gallery:
        gallery.upsert([Item("a", np.float32([1, 0]))])

        def searching():
            return gallery.search(np.float32([[1, 0]]), top_k=1)

        in_thread(searching)
        with CORES.shared():  # as a search of another gallery would
            in_thread(searching)
    assert seen == [4, 2]
